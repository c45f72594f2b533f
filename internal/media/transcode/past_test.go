package transcode

import (
	"context"
	"errors"
	"testing"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

// opusFor is the test signal again and again: it beeps in each third second.
func opusFor(t testing.TB, n int) []*frame.Frame {
	t.Helper()
	const length = 3 * time.Second
	var all []*frame.Frame
	once := soundOf(t, "libopus", "48000", "2")
	for i := range n {
		for _, f := range once {
			if f.PTS >= 0 && f.PTS < length {
				g := *f
				g.PTS += time.Duration(i) * length
				g.DTS = g.PTS
				all = append(all, &g)
			}
		}
	}
	return all
}

// What has been is converted at once, by several children, without a hole or
// anything twice where their pieces meet, each sound in its place; nobody stays.
func TestConvertAll(t *testing.T) {
	tc := newTranscoder(t, Config{})
	const n = 12
	sound := opusFor(t, n)
	got, err := tc.ConvertAll(t.Context(), sound, hub.SoundStandard)
	if err != nil {
		t.Fatal(err)
	}
	const step = time.Second * 1024 / 48000
	for i := 1; i < len(got); i++ {
		if d := got[i].PTS - got[i-1].PTS; d <= 0 || d >= 2*step {
			t.Errorf("packet %d, at %v, is %v after the one before", i, got[i].PTS, d)
		}
	}
	end := sound[len(sound)-1].PTS + 20*time.Millisecond
	if first, last := got[0].PTS, got[len(got)-1].PTS+step; first > sound[0].PTS+step || last < end || last > end+3*step {
		t.Errorf("sound from %v to %v, of %v to %v", first, last, sound[0].PTS, end)
	}
	for i := range n {
		from := time.Duration(i) * 3 * time.Second
		var part []*frame.Frame
		for _, f := range got {
			if f.PTS >= from && f.PTS < from+2*time.Second {
				part = append(part, f)
			}
		}
		if at := beep(t, hub.SoundStandard, part); (at - from - beepAt).Abs() > 5*time.Millisecond {
			t.Errorf("beep %d at %v, want %v", i, at, from+beepAt)
		}
	}
	if s := tc.Stats(); s.Children != 0 || s.Failed != 0 || s.Started == 0 {
		t.Errorf("stats %+v", s)
	}
}

// A child that fails is told of, once, and what nobody waits for is not made.
func TestConvertAllFails(t *testing.T) {
	sound := opusFor(t, 1)
	tc := newTranscoder(t, Config{Path: script(t, "echo broken >&2; exit 1")})
	if _, err := tc.ConvertAll(t.Context(), sound, hub.SoundStandard); err == nil {
		t.Error("no error of a child that fails")
	}
	if s := tc.Stats(); s.Started != 1 || s.Failed != 1 {
		t.Errorf("stats %+v", s)
	}
	tc = newTranscoder(t, Config{Path: script(t, "sleep 60")})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if _, err := tc.ConvertAll(ctx, sound, hub.SoundStandard); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if d := time.Since(begun); d > 3*time.Second {
		t.Errorf("%v for who had gone", d)
	}
}

func BenchmarkConvertAll(b *testing.B) { // a minute of sound
	tc, sound := newTranscoder(b, Config{}), opusFor(b, 20)
	for b.Loop() {
		if _, err := tc.ConvertAll(b.Context(), sound, hub.SoundStandard); err != nil {
			b.Fatal(err)
		}
	}
}
