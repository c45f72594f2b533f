package rtmp

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"os/exec"
	"sync"
	"testing"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/serve"
)

// film is a test film: its tracks and its frames in decoding order.
type film struct {
	tracks []*frame.Track
	frames []*frame.Frame
}

// collector is a sink that keeps everything.
type collector struct {
	film
	video, audio *frame.Track
	expected     bool
}

func (c *collector) ExpectAudio() { c.expected = true }

func (c *collector) SetTrack(t *frame.Track) error {
	c.tracks = append(c.tracks, t)
	if t.Kind() == frame.Video {
		c.video = t
	} else {
		c.audio = t
	}
	return nil
}

func (c *collector) Video(pts, dts time.Duration, key bool, payload []byte) error {
	c.frames = append(c.frames, &frame.Frame{Track: c.video, PTS: pts, DTS: dts, Key: key, Payload: payload})
	return nil
}

func (c *collector) Audio(pts time.Duration, payload []byte) error {
	c.frames = append(c.frames, &frame.Frame{Track: c.audio, PTS: pts, DTS: pts, Payload: payload})
	return nil
}

// encode makes a film with ffmpeg, as fast as it can.
func encode(t testing.TB, args ...string) *film {
	t.Helper()
	cmd := exec.Command("ffmpeg", append(append([]string{"-hide_banner", "-nostdin", "-loglevel", "error"}, args...), "-f", "flv", "pipe:1")...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	file, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, errs.String())
	}
	var c collector
	d := demuxer{Intake: serve.Intake{Out: &c, Log: slog.New(slog.DiscardHandler)}}
	for b := file[13:]; len(b) > 15; {
		n := int(binary.BigEndian.Uint32(b) & 0xffffff)
		ts := uint32(b[7])<<24 | uint32(b[4])<<16 | uint32(b[5])<<8 | uint32(b[6])
		if err := d.message(message{kind: b[0], time: ts, body: b[11 : 11+n]}); err != nil {
			t.Fatal(err)
		}
		b = b[11+n+4:]
	}
	return &c.film
}

// smallFilm is two seconds of 640x360 at 30 pictures a second, a key frame each.
var smallFilm = sync.OnceValue(func() *film {
	return encode(&failNow{}, "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30", "-f", "lavfi", "-i", "sine=sample_rate=48000",
		"-t", "2", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "30", "-c:a", "aac")
})

// bigFilm has key frames far beyond 64 KiB.
var bigFilm = sync.OnceValue(func() *film {
	return encode(&failNow{}, "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30,noise=alls=60:allf=t",
		"-t", "0.4", "-c:v", "libx264", "-preset", "ultrafast", "-qp", "20", "-g", "6")
})

// failNow lets shared films be made outside of a test.
type failNow struct{ testing.TB }

func (*failNow) Helper()                   {}
func (*failNow) Fatal(args ...any)         { panic(args) }
func (*failNow) Fatalf(s string, a ...any) { panic(s) }
