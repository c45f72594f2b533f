package hub

import (
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
		least   time.Duration // of the past
		most    time.Duration
	}{
		{"Opus", opusTrack, false, SoundPast - 20*time.Millisecond, SoundPast},
		{"Opus in a long ring", opusTrack, true, SoundPast - 20*time.Millisecond, SoundPast},
		{"AAC", audioTrack, false, 2900 * time.Millisecond, 5 * time.Second}, // what the ring holds
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, Config{}, Spec{})
				defer b.hub.Close()
				p := b.publisher()
				defer p.Close()
				b.sounds(p, test.track, 0, 26*time.Second)
				if test.patient {
					slow := b.stream.Run().Subscribe(ReaderOptions{})
					defer slow.Close()
					slow.SetPatience(time.Minute)
				}
				b.sounds(p, test.track, 26*time.Second, 4*time.Second)
				rd := b.stream.Run().Subscribe(ReaderOptions{SoundOnly: true, Back: SoundPast})
				defer rd.Close()
				heard := drain(rd)
				for i := 1; i < len(heard); i++ {
					if d := heard[i].PTS - heard[i-1].PTS; d <= 0 || d > 25*time.Millisecond {
						t.Fatalf("packet %d comes %v after the one before", i, d)
					}
				}
				if d := heard[len(heard)-1].PTS - heard[0].PTS; d < test.least || d > test.most {
					t.Errorf("%v of the past", d)
				}
			})
		})
	}
}
