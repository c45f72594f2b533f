package source_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glimpse/internal/glasses/source"
	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

func open(t *testing.T, name string) *source.File {
	t.Helper()
	f, err := source.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestOpen(t *testing.T) {
	for _, tc := range []struct {
		name          string
		sound         bool
		period        time.Duration
		pictures      int           // in a period
		firstPTS      time.Duration // of the first picture: what B-frames need
		sounds        int           // in a period
		width, height int
	}{
		{"bframes.mp4", true, time.Second, 10, 200 * time.Millisecond, 43, 64, 48},
		{"bframes.flv", true, time.Second, 10, 200 * time.Millisecond, 43, 64, 48},
		{"silent.flv", false, 500 * time.Millisecond, 5, 0, 0, 64, 48},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := open(t, tc.name)
			if got := len(f.Tracks()) == 2; got != tc.sound {
				t.Errorf("sound %v, want %v", got, tc.sound)
			}
			if h := f.Tracks()[0].Codec.(*codec.H264); h.Width != tc.width || h.Height != tc.height {
				t.Errorf("%dx%d", h.Width, h.Height)
			}
			if f.Period() != tc.period {
				t.Errorf("period %v, want %v", f.Period(), tc.period)
			}
			pictures, sounds := 0, 0
			p := f.Player()
			for first := true; ; first = false {
				fr, err := p.Next()
				if err != nil {
					t.Fatal(err)
				}
				if first && (!fr.Key || fr.DTS != 0 || fr.PTS != tc.firstPTS) {
					t.Errorf("first frame: key %v, DTS %v, PTS %v", fr.Key, fr.DTS, fr.PTS)
				}
				if fr.DTS >= 2*tc.period {
					break
				}
				if fr.DTS < tc.period {
					continue // sound waits for the first picture to be shown
				}
				if fr.IsVideo() {
					pictures++
				} else {
					sounds++
				}
			}
			if pictures != tc.pictures || sounds < tc.sounds || sounds > tc.sounds+1 {
				t.Errorf("%d pictures and %d sounds in a period; want %d and %d", pictures, sounds, tc.pictures, tc.sounds)
			}
		})
	}
}

// A film goes round without a seam: decoding times rise strictly, pictures keep
// their distance over the end, and sound neither pauses nor drifts.
func TestPlayerLoopsWithoutASeam(t *testing.T) {
	f := open(t, "bframes.mp4")
	step := f.Tracks()[1].Codec.(*codec.AAC).FrameDuration()
	p := f.Player()
	lastV, lastA, last := time.Duration(-1), time.Duration(-1), time.Duration(-1)
	var keys []time.Duration
	for {
		fr, err := p.Next()
		if err != nil {
			t.Fatal(err)
		}
		if fr.DTS > time.Minute {
			break
		}
		if fr.DTS < last {
			t.Fatalf("%v at %v after %v", fr.Track.Kind(), fr.DTS, last)
		}
		last = fr.DTS
		if fr.IsVideo() {
			if lastV >= 0 && fr.DTS-lastV != 100*time.Millisecond {
				t.Fatalf("pictures at %v and %v", lastV, fr.DTS)
			}
			if fr.PTS < fr.DTS {
				t.Fatalf("shown at %v, decoded at %v", fr.PTS, fr.DTS)
			}
			if fr.Key {
				keys = append(keys, fr.DTS)
			}
			lastV = fr.DTS
			continue
		}
		// The film's sound begins when its first picture is shown.
		if lastA >= 0 && (fr.PTS-lastA-step).Abs() > time.Microsecond {
			t.Fatalf("sounds at %v and %v", lastA, fr.PTS)
		}
		lastA = fr.PTS
	}
	if len(keys) != 121 {
		t.Errorf("%d key frames in a minute at two a second", len(keys))
	}
}

// Sound that begins late or is missing for a while is missing at the same
// place in every round.
func TestPlayerKeepsHolesInTheSound(t *testing.T) {
	var b bytes.Buffer
	flv, err := os.ReadFile("testdata/bframes.flv")
	if err != nil {
		t.Fatal(err)
	}
	b.Write(flv[:13])
	for rest := flv[13:]; len(rest) > 15; {
		n := 11 + int(rest[1])<<16 + int(rest[2])<<8 + int(rest[3]) + 4
		ms := int(rest[4])<<16 + int(rest[5])<<8 + int(rest[6])
		if rest[0] != 8 || rest[12] == 0 || ms < 400 || ms > 800 {
			b.Write(rest[:n])
		}
		rest = rest[n:]
	}
	f, err := source.Read(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	p := f.Player()
	for round := range 3 {
		inside, outside := 0, 0
		for {
			fr, err := p.Next()
			if err != nil {
				t.Fatal(err)
			}
			if fr.DTS >= time.Duration(round+1)*f.Period() {
				break
			}
			if pos := fr.PTS % f.Period(); fr.Track.Kind() == frame.Audio {
				if pos > 450*time.Millisecond && pos < 750*time.Millisecond {
					inside++
				} else {
					outside++
				}
			}
		}
		if inside != 0 || outside < 15 {
			t.Errorf("round %d: %d sounds in the hole, %d elsewhere", round, inside, outside)
		}
	}
}

// A recording across the end of FLV's 32-bit clock plays as any other.
func TestClockWraps(t *testing.T) {
	b, err := os.ReadFile("testdata/bframes.flv")
	if err != nil {
		t.Fatal(err)
	}
	plain := open(t, "bframes.flv").Player()
	for rest := b[13:]; len(rest) > 15; {
		ms := uint32(rest[7])<<24 | uint32(rest[4])<<16 | uint32(rest[5])<<8 | uint32(rest[6])
		ms -= 500
		rest[7], rest[4], rest[5], rest[6] = byte(ms>>24), byte(ms>>16), byte(ms>>8), byte(ms)
		rest = rest[11+int(rest[1])<<16+int(rest[2])<<8+int(rest[3])+4:]
	}
	f, err := source.Read(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	p := f.Player()
	for i := range 120 { // two rounds
		want, err := plain.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Next(); err != nil || got.DTS != want.DTS || got.PTS != want.PTS || !bytes.Equal(got.Payload, want.Payload) {
			t.Fatalf("frame %d: %+v (%v), want %+v", i, got, err, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	mp4, err := os.ReadFile("testdata/bframes.mp4")
	if err != nil {
		t.Fatal(err)
	}
	fragmented, err := os.ReadFile("testdata/fragmented.mp4")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "too short"},
		{"text", []byte("Once upon a time"), "neither MP4 nor FLV"},
		{"cut", mp4[:len(mp4)-100], "cut short"},
		{"fragmented", fragmented, "fragmented MP4"},
		{"H.265", bytes.ReplaceAll(mp4, []byte("avc1"), []byte("hvc1")), `its video is "hvc1"`},
		{"other sound", bytes.ReplaceAll(mp4, []byte("mp4a"), []byte("alac")), `its sound is "alac"`},
		{"no tags", []byte("FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"), "no H.264 video"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := source.Read(bytes.NewReader(tc.data), int64(len(tc.data)))
			if !errors.Is(err, source.ErrFormat) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v; want %q", err, tc.want)
			}
		})
	}
	if _, err := source.Open("testdata/absent.mp4"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
}

// play reads a file of a stranger and plays some of it: it must end, in bounded
// memory, with times that rise.
func play(t *testing.T, data []byte) {
	f, err := source.Read(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return
	}
	p := f.Player()
	last := map[frame.Kind]time.Duration{frame.Video: -1, frame.Audio: -1}
	for range 200 {
		fr, err := p.Next()
		if err != nil {
			return
		}
		if kind := fr.Track.Kind(); fr.DTS <= last[kind] {
			t.Fatalf("%v: %v after %v", kind, fr.DTS, last[kind])
		} else {
			last[kind] = fr.DTS
		}
	}
}

func seed(f *testing.F, names ...string) {
	for _, n := range names {
		b, err := os.ReadFile(filepath.Join("testdata", n))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

func FuzzMP4(f *testing.F) {
	seed(f, "bframes.mp4", "fragmented.mp4")
	f.Fuzz(play)
}

func FuzzFLV(f *testing.F) {
	seed(f, "bframes.flv", "silent.flv")
	f.Fuzz(play)
}
