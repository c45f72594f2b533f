package clip_test

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"glimpse/internal/glasses/clip"
	"glimpse/internal/glasses/source"
	"glimpse/internal/media/codec"
)

// The clip is what its truth file describes, and what every output can carry:
// no B-frames (WebRTC has none), sound, a key frame a second.
func TestClipIsWhatItsTruthSays(t *testing.T) {
	b, err := os.ReadFile("testdata/clip.truth.json")
	if err != nil {
		t.Fatal(err)
	}
	var truth struct {
		Width, Height, Frames int
		FPS                   float64
	}
	if err := json.Unmarshal(b, &truth); err != nil {
		t.Fatal(err)
	}
	r := clip.Open()
	f, err := source.Read(r, r.Size())
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Tracks()) != 2 {
		t.Fatalf("%d tracks, want picture and sound", len(f.Tracks()))
	}
	h := f.Tracks()[0].Codec.(*codec.H264)
	if h.Width != truth.Width || h.Height != truth.Height || h.Reorder {
		t.Errorf("%dx%d, reorder %v; want %dx%d without", h.Width, h.Height, h.Reorder, truth.Width, truth.Height)
	}
	if want := time.Duration(float64(truth.Frames) / truth.FPS * float64(time.Second)); f.Period() != want {
		t.Errorf("period %v, want %v", f.Period(), want)
	}
	p := f.Player()
	pictures, keys := 0, 0
	for pictures < truth.Frames {
		fr, err := p.Next()
		if err != nil {
			t.Fatal(err)
		}
		if fr.IsVideo() {
			pictures++
			if fr.Key {
				keys++
			}
			if fr.Key != codec.HasIDR(fr.Payload) {
				t.Errorf("picture %d: key %v, but IDR %v", pictures, fr.Key, !fr.Key)
			}
		}
	}
	if keys != 10 {
		t.Errorf("%d key frames in ten seconds, want 10", keys)
	}
}

// The same sound stands in the clip twice, in AAC and in Opus, which WebRTC takes;
// both repeat without end, without a hole and with the pictures.
func TestClipHasBothSounds(t *testing.T) {
	r := clip.Open()
	f, err := source.Read(r, r.Size())
	if err != nil {
		t.Fatal(err)
	}
	for name, step := range map[string]time.Duration{"AAC": 1024 * time.Second / 48000, "Opus": 20 * time.Millisecond} {
		p := f.WithSound(name).Player()
		var n int64
		var newest time.Duration
		for newest < 35*time.Second {
			fr, err := p.Next()
			if err != nil {
				t.Fatal(err)
			}
			if fr.IsVideo() {
				newest = fr.PTS
				continue
			}
			if fr.Track.Codec.Name() != name || len(fr.Payload) == 0 {
				t.Fatalf("%s of %d bytes", fr.Track.Codec.Name(), len(fr.Payload))
			}
			if want := time.Duration(n) * step; (fr.PTS-want).Abs() > time.Millisecond || (fr.PTS-newest).Abs() > 100*time.Millisecond {
				t.Fatalf("%s: unit %d at %v beside a picture at %v, want %v", name, n, fr.PTS, newest, want)
			}
			n++
		}
		if want := int64(35 * time.Second / step); n < want-3 || n > want+3 {
			t.Errorf("%s: %d units in 35 s, want %d", name, n, want)
		}
	}
}
