package transcode

import (
	"bytes"
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

// pictureLog is a DecodeSink.
type pictureLog struct {
	keysOnly bool
	mu       sync.Mutex
	got      []Decoded
	problems []error
	limited  []bool
	news     chan struct{}
}

func newPictureLog() *pictureLog { return &pictureLog{news: make(chan struct{}, 1)} }

func (l *pictureLog) Picture(p Decoded) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, p)
	select {
	case l.news <- struct{}{}:
	default:
	}
}

func (l *pictureLog) Problem(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.problems = append(l.problems, err)
}

func (l *pictureLog) KeysOnly() bool { return l.keysOnly }

func (l *pictureLog) Limited(keysOnly bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limited = append(l.limited, keysOnly)
}

// decodeAll decodes a finished source and returns the pictures' frames in order.
func decodeAll(t testing.TB, tc *Transcoder, frames []*frame.Frame, d Decoding, log *pictureLog) {
	t.Helper()
	src := make(feed, 2)
	src <- frames[:1]
	src <- frames[1:]
	close(src)
	if err := tc.decode(t.Context(), &decodeInput{sink: log, src: src}, d); err == nil || err.Error() != "EOF" {
		t.Fatal(err)
	}
}

// Every picture comes back with exactly its own times, B-frames in order, whatever
// the codec.
func TestDecode(t *testing.T) {
	for _, c := range []struct {
		name   string
		frames []*frame.Frame
	}{{"H.264 with B-frames", reordered(t)}, {"H.265", h265(t)}, {"AV1", av1(t)}} {
		t.Run(c.name, func(t *testing.T) {
			log := newPictureLog()
			decodeAll(t, newTranscoder(t, Config{}), c.frames, Decoding{Width: 160, FPS: 1000}, log)
			want := shown(c.frames, false)
			if len(log.got) != len(want) {
				t.Fatalf("%d pictures of %d", len(log.got), len(want))
			}
			for i, p := range log.got {
				if p.Frame.PTS != want[i] || p.Width != 160 || p.Height != 120 || len(p.Planes) != 3*160*120 {
					t.Errorf("picture %d: %v, %dx%d; want %v", i, p.Frame.PTS, p.Width, p.Height, want[i])
				}
			}
		})
	}
}

// A rate is kept without drift, also when it is no part of the source's; the source
// has a hole of 0.37 s.
func TestDecodeRate(t *testing.T) {
	tc := newTranscoder(t, Config{})
	for fps, want := range map[float64]int{10: 27, 12.5: 33, 1: 3, 30: 79} {
		log := newPictureLog()
		decodeAll(t, tc, reordered(t), Decoding{Width: 64, FPS: fps}, log)
		if n := len(log.got); n < want-1 || n > want+1 {
			t.Errorf("%d pictures in 3 s at %v a second, want %d", n, fps, want)
		}
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct{ width, sw, sh, w, h int }{
		{640, 1280, 720, 640, 360}, {1920, 1280, 720, 1280, 720}, {641, 1280, 720, 640, 360}, {320, 720, 1280, 320, 568},
		{1920, 2160, 3840, 1080, 1920}, {1920, 3840, 2160, 1920, 1080}, {16, 4096, 16, 16, 16}, {1920, 16, 4096, 16, 1920},
		{640, 0, 0, 0, 0},
	} {
		if w, h := Fit(c.width, c.sw, c.sh); w != c.w || h != c.h {
			t.Errorf("Fit(%d, %d, %d) = %d, %d; want %d, %d", c.width, c.sw, c.sh, w, h, c.w, c.h)
		}
	}
}

// A child that stays behind is given key frames only, for longer each time; one
// burst does not count.
func TestLoad(t *testing.T) {
	now := time.Unix(1000, 0)
	var l load
	step := func(after, span time.Duration, lost, want bool) {
		t.Helper()
		now = now.Add(after)
		if got := l.batch(span, lost, now); got != want {
			t.Errorf("at %v: key frames only is %t", now.Sub(time.Unix(1000, 0)), got)
		}
	}
	step(0, 33*time.Millisecond, false, false)
	step(time.Second, 2*time.Second, false, false) // a burst
	step(time.Second, 33*time.Millisecond, false, false)
	step(time.Second, 2*time.Second, false, false)
	step(time.Second, 2*time.Second, false, true) // late twice in a row
	step(9*time.Second, 0, false, true)
	step(2*time.Second, 0, false, false) // tried again
	step(time.Second, 0, true, true)     // lost: twice as long
	step(19*time.Second, 0, false, true)
	step(2*time.Second, 0, false, false)
	step(2*time.Minute, 0, false, false) // well for a minute
	step(time.Second, 0, true, true)
	step(11*time.Second, 0, false, false)
}

const threeSeconds = "testsrc2=size=320x240:rate=30:duration=3"

// h265 encodes pictures.
func h265(t *testing.T) []*frame.Frame {
	t.Helper()
	file := ffmpeg(t, nil, "-f", "lavfi", "-i", threeSeconds, "-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p",
		"-x265-params", "log-level=none:bframes=0:keyint=30:aud=1", "-f", "hevc", "pipe:1")
	delimiter := []byte{0, 0, 0, 1, 0x46, 1}
	var units [][]byte
	for _, unit := range bytes.Split(file, delimiter)[1:] {
		units = append(units, append(bytes.Clone(delimiter), unit...))
	}
	p := codec.NewPictures("H.265")
	return timed(t, p, p.AnnexB, units)
}

// av1 encodes pictures and takes them out of an IVF file, without the delimiter.
func av1(t *testing.T) []*frame.Frame {
	t.Helper()
	file := ffmpeg(t, nil, "-f", "lavfi", "-i", threeSeconds, "-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime",
		"-pix_fmt", "yuv420p", "-g", "30", "-f", "ivf", "pipe:1")
	var units [][]byte
	for b := file[32:]; len(b) > 12; {
		n := 12 + int(binary.LittleEndian.Uint32(b))
		units = append(units, bytes.TrimPrefix(b[12:n], []byte{0x12, 0}))
		b = b[n:]
	}
	p := codec.NewPictures("AV1")
	return timed(t, p, p.Take, units)
}

// timed makes frames of access units, 30 a second.
func timed(t *testing.T, p *codec.Pictures, take func([]byte) ([]byte, bool, error), units [][]byte) []*frame.Frame {
	t.Helper()
	var frames []*frame.Frame
	var track *frame.Track
	for i, u := range units {
		payload, key, err := take(u)
		if err != nil || payload == nil {
			t.Fatalf("access unit %d: %v", i, err)
		}
		if track == nil {
			track = &frame.Track{Codec: p.Codec()}
		}
		at := time.Duration(i) * time.Second / 30
		frames = append(frames, &frame.Frame{Track: track, PTS: at, DTS: at, Key: key, Payload: payload})
	}
	if len(frames) != 90 {
		t.Fatalf("%d access units", len(frames))
	}
	return frames
}
