package hub

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/internal/media/frame"
)

// Sound that has left the ring can still be converted for 8 s, each packet once
// and in order; AAC, which nothing is made of for segments, is not kept.
func TestPastSound(t *testing.T) {
	for _, test := range []struct {
		name    string
		track   *frame.Track
		patient bool          // a reader takes its time: the ring holds more than a reader may lag
		late    time.Duration // after it subscribed the reader begins to read, and the ring goes on
		least   time.Duration // of the past
		most    time.Duration
	}{
		{"Opus", opusTrack, false, 0, SoundPast - 20*time.Millisecond, SoundPast},
		{"Opus in a long ring", opusTrack, true, 0, SoundPast - 20*time.Millisecond, SoundPast},
		{"Opus, read later", opusTrack, false, 2 * time.Second, SoundPast + 1980*time.Millisecond, SoundPast + 2*time.Second},
		{"Opus in a ring that shrinks", opusTrack, true, 2 * time.Second, SoundPast + 1980*time.Millisecond, SoundPast + 2*time.Second},
		{"AAC", audioTrack, false, 0, 2900 * time.Millisecond, 5 * time.Second}, // what the ring holds
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, Config{}, Spec{})
				defer b.hub.Close()
				p := b.publisher()
				defer p.Close()
				b.sounds(p, test.track, 0, 26*time.Second)
				slow := b.stream.Run().Subscribe(ReaderOptions{})
				if test.patient {
					slow.SetPatience(time.Minute)
				}
				b.sounds(p, test.track, 26*time.Second, 4*time.Second)
				rd := b.stream.Run().Subscribe(ReaderOptions{SoundOnly: true, Back: SoundPast})
				defer rd.Close()
				slow.Close()
				b.sounds(p, test.track, 30*time.Second, test.late)
				heard := drain(rd)
				for i := 1; i < len(heard); i++ {
					if d := heard[i].PTS - heard[i-1].PTS; d <= 0 || d > 25*time.Millisecond {
						t.Fatalf("packet %d comes %v after the one before", i, d)
					}
				}
				if d := heard[len(heard)-1].PTS - heard[0].PTS; d < test.least || d > test.most {
					t.Errorf("%v of the past", d)
				}
				if n := rd.Dropped(); n != 0 {
					t.Errorf("%d lost", n)
				}
			})
		})
	}
}

// What is kept of a minute of Opus, and no more of anything: not older, not more
// packets, not more bytes.
func TestPastIsBounded(t *testing.T) {
	for _, test := range []struct {
		name    string
		every   time.Duration
		size    int
		track   *frame.Track
		packets int
	}{
		{"usual", 20 * time.Millisecond, 160, opusTrack, int(SoundKept / (20 * time.Millisecond))},
		{"many", 2 * time.Millisecond, 10, opusTrack, maxPast},
		{"large", 20 * time.Millisecond, 100_000, opusTrack, maxPastBytes / 100_000},
		{"AAC", 20 * time.Millisecond, 160, audioTrack, 0},
	} {
		var p past
		for at := time.Duration(0); at < 3*time.Minute; at += test.every {
			p.keep(&frame.Frame{Track: test.track, PTS: at, DTS: at, Payload: make([]byte, test.size)})
			p.keep(&frame.Frame{Track: videoTrack, PTS: at, DTS: at})
			p.keep(&frame.Frame{Track: test.track, PTS: at, DTS: at, Derived: true})
		}
		bytes := 0
		for _, f := range p.frames {
			bytes += len(f.Payload)
		}
		if n := len(p.frames); n < test.packets || n > test.packets+1 || bytes != p.bytes {
			t.Errorf("%s: %d packets of %d bytes (%d counted), want %d", test.name, n, bytes, p.bytes, test.packets)
		}
	}
}

// A minute after it was sent, and up to this moment, sound is there in the form that
// is asked for, each packet once; what was sent in that form is not.
func TestSoundSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conv := &echo{}
		b := newBench(t, Config{Converter: conv}, Spec{})
		defer b.hub.Close()
		p := b.publisher()
		defer p.Close()
		b.sounds(p, opusTrack, 0, 70*time.Second)
		run := b.stream.Run()
		got, err := run.SoundSince(t.Context(), SoundAAC, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) < 2990 || got[0].PTS > 10020*time.Millisecond {
			t.Fatalf("%d packets from %v", len(got), got[0].PTS)
		}
		for i, f := range got {
			if i > 0 && f.PTS-got[i-1].PTS != 20*time.Millisecond || !f.Derived || !SoundStandard.Is(f.Track) {
				t.Fatalf("packet %d: %+v", i, f)
			}
		}
		if got, err := run.SoundSince(t.Context(), SoundOpus, 0); len(got) != 0 || err != nil {
			t.Errorf("%d packets that are Opus already, %v", len(got), err)
		}
		if n := conv.running.Load(); n != 0 {
			t.Errorf("%d conversions run on", n)
		}
		conv.missing = ErrClosed
		if _, err := run.SoundSince(t.Context(), SoundAAC, 0); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}
