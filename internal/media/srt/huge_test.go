package srt

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/serve"
	"glimpse/internal/media/serve/servetest"
)

// hugeKeys makes 3 s of H.264, ten pictures a second, whose three key frames have
// 4 MB each: by user data (SEI), which nothing on the way leaves out.
func hugeKeys(t *testing.T) (file string, pictures int) {
	t.Helper()
	const delimiter, size = "\x00\x00\x00\x01\x09", 4_000_000
	raw, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=10:duration=3", "-c:v", "libx264",
		"-preset", "ultrafast", "-tune", "zerolatency", "-g", "10", "-bsf:v", "h264_metadata=aud=insert", "-f", "h264", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	units := strings.Split(string(raw), delimiter)[1:]
	for i, u := range units {
		out.WriteString(delimiter + u[:1]) // what kind of picture
		if i%10 == 0 {
			n := size - len(u)
			out.WriteString("\x00\x00\x00\x01\x06\x05" + strings.Repeat("\xff", n/255) + string([]byte{byte(n % 255)}) + strings.Repeat("\x55", n) + "\x80")
		}
		out.WriteString(u[1:])
	}
	file = filepath.Join(t.TempDir(), "huge.h264")
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, len(units)
}

// FAULTS F7: key frames of 4 MB pass from libsrt to a libsrt that was there before.
// Who watches another stream loses nothing.
func TestHugeKeyFrame(t *testing.T) {
	r := newRig(t, Config{Latency: 500 * time.Millisecond})
	s, other := r.Open("one", time.Minute), r.Open("other", time.Minute)
	read := func(name string) *servetest.FFmpeg {
		return servetest.StartFFmpeg(t, "-i", r.url("read:"+name+"-play&latency=500000"), "-map", "0:v", "-c", "copy", "-f", "framecrc", "-")
	}
	reader, bystander := read("one"), read("other")
	servetest.Until(t, "the readers", func() bool {
		return s.Stats().Viewers["srt"] == 1 && other.Stats().Viewers["srt"] == 1
	})
	file, pictures := hugeKeys(t)
	beside := servetest.StartFFmpeg(t, publishing(r.url("publish:other-key&latency=500000"), 6, "-bf", "0")...)
	servetest.Until(t, "the other stream", func() bool { return other.Stats().State == hub.StateLive })
	publisher := servetest.StartFFmpeg(t, "-re", "-f", "h264", "-framerate", "10", "-i", file, "-c", "copy", "-f", "mpegts", r.url("publish:one-key&latency=500000"))
	servetest.Until(t, "all pictures but the last", func() bool { return s.Stats().Frames >= uint64(pictures-1) })
	if st := s.Stats(); st.Dropped != 0 || strings.Contains(r.Logs.String(), "damaged") {
		t.Errorf("%+v", st)
	}
	for what, f := range map[string]*servetest.FFmpeg{"publisher": publisher, "the other publisher": beside} {
		if _, errs, ok := f.Wait(); !ok {
			t.Errorf("%s: %s", what, errs)
		}
	}
	s.Close("test")
	other.Close("test")
	out, errs, ok := reader.Wait()
	huge, all := 0, servetest.Packets(out, 0)
	for _, p := range all {
		if fields := strings.Split(strings.ReplaceAll(p, " ", ""), ","); len(fields[4]) == len("4000000") {
			huge++
		}
	}
	if !ok || huge != 3 || len(all) < pictures {
		t.Errorf("%d pictures of %d came, %d of them huge: %s", len(all), pictures, huge, errs)
	}
	out, errs, ok = bystander.Wait()
	if n := len(servetest.Packets(out, 0)); !ok || n < 170 {
		t.Errorf("who watches another stream got %d pictures of 180: %s", n, errs)
	}
}

// A picture that is larger than any way out carries ends its publisher, who is not
// told in vain that something is damaged.
func TestTooLargePicture(t *testing.T) {
	video, audio := testTracks(t)
	list := film(video, audio, 0)
	big := *list[0]
	big.Payload = append(bytes.Clone(big.Payload), make([]byte, frame.MaxPicture)...)
	n := len(big.Payload) - 4
	big.Payload[0], big.Payload[1], big.Payload[2], big.Payload[3] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	list[0] = &big
	got := &taken{}
	d := newDemuxer(serve.Intake{Out: got, Log: slog.New(slog.DiscardHandler)})
	if err := d.write(mux(t, list)); !errors.Is(err, serve.ErrTooLarge) || len(got.frames) != 0 || d.Malformed() != 0 {
		t.Errorf("%v; %d frames, %d skipped", err, len(got.frames), d.Malformed())
	}
}
