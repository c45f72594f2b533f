package rtmp

import (
	"encoding/binary"
	"strconv"
	"strings"
	"testing"
	"time"

	"glimpse/internal/media/serve/servetest"
)

// MEDIA R1: a player that stays for 4 h 40 min: timestamps outgrow their 24 bits
// while key frames of several chunks are sent, each chunk of which repeats the
// extended timestamp. ffmpeg reads every byte of them.
func TestFFmpegPlaysAcrossExtendedTimestamps(t *testing.T) {
	t.Parallel()
	r := newPatientRig(t)
	s := r.Open("one", time.Minute)
	player := servetest.StartFFmpeg(t, "-copyts", "-i", r.url("one-play"), "-map", "0:v", "-c", "copy", "-f", "framecrc", "pipe:1")
	servetest.Until(t, "the player", func() bool { return s.Stats().Viewers["rtmp"] == 1 })
	film := encode(t, "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=1:duration=2,noise=alls=90", "-c:v", "libx264", "-preset", "ultrafast",
		"-tune", "zerolatency", "-g", "2")
	pub := r.Source("one", film.tracks[0])
	big, small := film.frames[0].Payload, film.frames[1].Payload
	if !film.frames[0].Key || film.frames[1].Key || len(big) < 2*outChunkSize {
		t.Fatalf("the film's key frame has %d bytes", len(big))
	}
	small = small[:40]
	binary.BigEndian.PutUint32(small, 36)
	const step, crossing = 900 * time.Millisecond, 0xffffff * time.Millisecond
	sent, keys := 0, 0
	for at := time.Duration(0); at < crossing+10*step; at += step {
		key := sent == 0 || at > crossing-4*step
		payload := small
		if key {
			payload = big
			keys++
		}
		if err := pub.Video(at, at, key, payload); err != nil {
			t.Fatal(err)
		}
		sent++
	}
	s.Close("test")
	out, stderr, ok := player.Wait()
	if !ok {
		t.Fatalf("player: %s", stderr)
	}
	packets := servetest.Packets(out, 0)
	if len(packets) != sent {
		t.Fatalf("%d pictures of %d came\n%s", len(packets), sent, r.Logs)
	}
	last, whole := -1, 0
	for i, p := range packets {
		fields := strings.Split(strings.ReplaceAll(p, " ", ""), ",")
		ms, err := strconv.Atoi(fields[1])
		if err != nil || ms != i*900 || ms <= last {
			t.Fatalf("picture %d: %q", i, p)
		}
		last = ms
		if size, _ := strconv.Atoi(fields[4]); size == len(big) {
			whole++
		}
	}
	if whole != keys {
		t.Errorf("%d key frames of %d came whole", whole, keys)
	}
	if last < 0xffffff {
		t.Errorf("the last picture is at %d ms", last)
	}
}
