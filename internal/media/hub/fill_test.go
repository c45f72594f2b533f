package hub

import (
	"testing"
	"testing/synctest"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

// A destination that insists on sound gets silence of the standard form until
// sound comes, which then has that form too; a hole in it is filled; nothing
// overlaps, whatever the stream sends and when.
func TestFill(t *testing.T) {
	other, err := codec.NewAAC([]byte{0x12, 0x08}) // 44.1 kHz, mono
	if err != nil {
		t.Fatal(err)
	}
	for name, late := range map[string]*frame.Track{
		"AAC": {Codec: other}, "Opus": opusTrack, "as silence": {Codec: codec.StandardAAC()},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, Config{Converter: &echo{}}, Spec{})
				p := b.publisher()
				b.gop(p, 0, 1)
				run := b.stream.Run()
				if run.Steady() != SoundStandard {
					t.Errorf("steady form %q", run.Steady())
				}
				rd := run.Subscribe(ReaderOptions{Sound: run.Steady(), Fill: true})
				defer rd.Close()
				tracks := rd.Tracks()
				if len(tracks) != 2 || !codec.IsStandard(tracks[1].Codec) {
					t.Fatalf("announced %v", tracks)
				}
				silent, real := 0, 0
				end := time.Duration(-1)
				check := func(heard bool) {
					t.Helper()
					var front time.Duration
					for _, f := range drain(rd) {
						if f.IsVideo() {
							front = f.DTS
							continue
						}
						if !codec.IsStandard(f.Track.Codec) {
							t.Fatalf("sound as %s", f.Track.Codec.MIME())
						}
						if f.PTS < end-11*time.Millisecond { // half a frame
							t.Fatalf("sound at %v, the one before ends at %v", f.PTS, end)
						}
						end = f.PTS + 20*time.Millisecond
						if string(f.Payload) == string(aac) {
							real++
						} else {
							silent++
						}
					}
					if d := front - end; d > soundMissing+50*time.Millisecond {
						t.Errorf("sound ends %v before the pictures", d)
					}
					if heard && real < 80 || !heard && silent < 60 {
						t.Errorf("%d packets of silence, %d of sound", silent, real)
					}
					silent, real = 0, 0
				}
				b.gop(p, 33*time.Millisecond, 60)
				check(false)
				b.sounds(p, late, 2*time.Second, 2*time.Second)
				check(true)
				b.gop(p, 4*time.Second, 60)
				check(false)
				b.sounds(p, late, 6*time.Second, 2*time.Second)
				check(true)
				p.Close()
				b.hub.Close()
			})
		})
	}
}

// Without a converter there is silence all the same, and sound as it comes.
func TestFillWithoutConverter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{}, Spec{})
		p := b.publisher()
		b.gop(p, 0, 1)
		run := b.stream.Run()
		rd := run.Subscribe(ReaderOptions{Sound: run.Steady(), Fill: true})
		defer rd.Close()
		if tracks := rd.Tracks(); len(tracks) != 2 {
			t.Errorf("announced %v", tracks)
		}
		b.gop(p, 33*time.Millisecond, 30)
		if got := forms(rd); got["AAC"] < 40 {
			t.Errorf("%v", got)
		}
		p.Close()
		b.hub.Close()
	})
}
