package hub

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

// echo is a Converter that makes each packet of a run into one of another form,
// 50 ms later, and counts how many conversions run.
type echo struct {
	running, started atomic.Int32
	missing          error
}

func (e *echo) Available() error { return e.missing }

func (e *echo) Convert(ctx context.Context, run *Run, sink *SoundSink) error {
	e.running.Add(1)
	e.started.Add(1)
	defer func() { e.running.Add(-1) }()
	rd := run.Subscribe(ReaderOptions{SoundOnly: true, Back: 100 * time.Millisecond})
	defer rd.Close()
	for {
		frames, err := rd.Next(ctx, nil)
		if err != nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(50 * time.Millisecond)
		for _, f := range frames {
			if !sink.Form().Is(f.Track) {
				sink.Write(&frame.Frame{PTS: f.PTS, DTS: f.DTS, Payload: f.Payload})
			}
		}
	}
}

// ConvertAll returns each frame as it is.
func (e *echo) ConvertAll(_ context.Context, sound []*frame.Frame, _ Sound) ([]*frame.Frame, error) {
	if e.missing != nil {
		return nil, e.missing
	}
	e.started.Add(1)
	var made []*frame.Frame
	for _, f := range sound {
		made = append(made, &frame.Frame{PTS: f.PTS, DTS: f.DTS, Payload: f.Payload})
	}
	return made, nil
}

// Straighten writes each picture again, under its PTS.
func (e *echo) Straighten(ctx context.Context, run *Run, sink *PictureSink) error {
	e.running.Add(1)
	e.started.Add(1)
	defer e.running.Add(-1)
	rd := run.Subscribe(ReaderOptions{})
	defer rd.Close()
	for {
		frames, err := rd.Next(ctx, nil)
		if err != nil {
			return err
		}
		for _, f := range frames {
			sink.Write(&frame.Frame{Track: f.Track, PTS: f.PTS, DTS: f.PTS, Key: f.Key, Payload: f.Payload})
		}
	}
}

var opusTrack = &frame.Track{Codec: &codec.Opus{Channels: 2}}

// sounds publishes pictures and sound, a packet each 20 ms, for a time.
func (b *bench) sounds(p *Publisher, track *frame.Track, from, d time.Duration) {
	b.t.Helper()
	if err := p.SetTrack(track); err != nil {
		b.t.Fatal(err)
	}
	for at := from; at < from+d; at += 20 * time.Millisecond {
		if err := p.Audio(at, aac); err != nil {
			b.t.Fatal(err)
		}
		if (at-from)%(40*time.Millisecond) == 0 {
			key := (at-from)%time.Second == 0
			payload := slice
			if key {
				payload = idr
			}
			if err := p.Video(at, at, key, payload); err != nil {
				b.t.Fatal(err)
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	synctest.Wait()
}

// forms of the sound that a reader has got since it was last asked.
func forms(rd *Reader) map[string]int {
	got := map[string]int{}
	for _, f := range drain(rd) {
		got[f.Track.Codec.Name()]++
	}
	return got
}

// One conversion serves all who take a form, begins with the first of them and
// ends 10 s after the last; who takes the sound as sent never sees it.
func TestConversionIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conv := &echo{}
		b := newBench(t, Config{Converter: conv}, Spec{})
		defer b.hub.Close()
		p := b.publisher()
		defer p.Close()
		b.sounds(p, opusTrack, 0, time.Second)
		run := b.stream.Run()
		sent := run.Subscribe(ReaderOptions{})
		defer sent.Close()
		passive := run.Subscribe(ReaderOptions{Sound: SoundAAC, Passive: true})
		defer passive.Close()
		opus := run.Subscribe(ReaderOptions{Sound: SoundOpus})
		defer opus.Close()
		b.sounds(p, opusTrack, time.Second, time.Second)
		if conv.started.Load() != 0 {
			t.Error("a conversion that nobody needs")
		}
		first := run.Subscribe(ReaderOptions{Sound: SoundAAC})
		if tracks := first.Tracks(); len(tracks) != 2 || tracks[1].Codec.Name() != "AAC" {
			t.Errorf("tracks %v", tracks)
		}
		second := run.Subscribe(ReaderOptions{Sound: SoundAAC, SoundOnly: true})
		b.sounds(p, opusTrack, 2*time.Second, time.Second)
		if conv.running.Load() != 1 || conv.started.Load() != 1 {
			t.Errorf("%d conversions for two readers, %d started", conv.running.Load(), conv.started.Load())
		}
		for name, rd := range map[string]*Reader{"first": first, "passive": passive} {
			if got := forms(rd); got["AAC"] < 45 || got["Opus"] != 0 || got["H.264"] < 25 {
				t.Errorf("%s: %v", name, got)
			}
		}
		if got := forms(second); got["AAC"] < 45 || len(got) != 1 {
			t.Errorf("sound only: %v", got)
		}
		if got := forms(sent); got["AAC"] != 0 || got["Opus"] < 95 {
			t.Errorf("as sent: %v", got)
		}
		if got := forms(opus); got["AAC"] != 0 || got["Opus"] < 95 {
			t.Errorf("Opus: %v", got)
		}
		if first.Dropped()+second.Dropped()+sent.Dropped() != 0 {
			t.Error("what a reader does not take counts as lost")
		}
		first.Close()
		second.Close()
		second.Close()
		b.sounds(p, opusTrack, 3*time.Second, 9*time.Second)
		if conv.running.Load() != 1 {
			t.Error("the conversion ended at once")
		}
		b.sounds(p, opusTrack, 12*time.Second, 2*time.Second)
		if conv.running.Load() != 0 {
			t.Error("the conversion goes on")
		}
		third := run.Subscribe(ReaderOptions{Sound: SoundAAC})
		defer third.Close()
		synctest.Wait()
		if conv.started.Load() != 2 {
			t.Error("no conversion for who comes later")
		}
	})
}

// A source that changes its codec starts and ends conversions; what one still
// had does not come behind the sound that took its place.
func TestConversionFollowsSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conv := &echo{}
		b := newBench(t, Config{Converter: conv}, Spec{})
		p := b.publisher()
		b.gop(p, 0, 1)
		rd := b.stream.Run().Subscribe(ReaderOptions{Sound: SoundAAC})
		defer rd.Close()
		if converted, _ := b.stream.Run().Converted(SoundAAC); converted || conv.started.Load() != 0 || len(rd.Tracks()) != 1 {
			t.Error("converted without sound")
		}
		last, sound := time.Duration(-1), 0
		for i, track := range []*frame.Track{opusTrack, audioTrack, opusTrack} {
			b.sounds(p, track, time.Second+time.Duration(i)*time.Second, time.Second)
			want := int32(1 - i%2)
			if conv.running.Load() != want {
				t.Errorf("%s: %d conversions", track.Codec.Name(), conv.running.Load())
			}
			if converted, problem := b.stream.Run().Converted(SoundAAC); converted != (want == 1) || problem != nil {
				t.Errorf("%s: converted %t, %v", track.Codec.Name(), converted, problem)
			}
			if got := len(rd.Tracks()); got != 2 {
				t.Errorf("%d tracks", got)
			}
			for _, f := range drain(rd) {
				if f.IsVideo() {
					continue
				}
				if f.PTS <= last || f.Track.Codec.Name() != "AAC" {
					t.Fatalf("%s at %v after %v", f.Track.Codec.Name(), f.PTS, last)
				}
				last, sound = f.PTS, sound+1
			}
		}
		if sound < 135 {
			t.Errorf("%d packets of 3 s", sound)
		}
		p.Close()
		b.hub.Close()
		if conv.running.Load() != 0 {
			t.Error("a conversion outlives its run")
		}
	})
}

// The pictures in order are made once for all who ask, from the cached key frame
// on, end 10 s after the last and with the run.
func TestStraight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conv := &echo{}
		b := newBench(t, Config{Converter: conv}, Spec{})
		p := b.publisher()
		b.gop(p, 0, 10)
		run := b.stream.Run()
		first, leave, err := run.Straight()
		if err != nil {
			t.Fatal(err)
		}
		second, leaveToo, err := run.Straight()
		if err != nil || second != first {
			t.Fatal(second, err)
		}
		synctest.Wait()
		rd := first.Subscribe(ReaderOptions{})
		b.gop(p, 330*time.Millisecond, 10)
		if frames := drain(rd); len(frames) != 20 || !frames[0].Key {
			t.Errorf("%d pictures", len(frames))
		}
		rd.Close()
		leave()
		leave()
		leaveToo()
		b.gop(p, 660*time.Millisecond, 270)
		if conv.running.Load() != 1 || conv.started.Load() != 1 {
			t.Error("it did not linger, or was made twice")
		}
		b.gop(p, 10*time.Second, 60)
		select {
		case <-first.Done():
		default:
			t.Error("it goes on without viewers")
		}
		third, leave, err := run.Straight()
		if err != nil || third == first {
			t.Fatal(third, err)
		}
		synctest.Wait()
		if conv.started.Load() != 2 {
			t.Error("not made again")
		}
		p.Close()
		b.hub.Close()
		<-third.Done()
		leave()
		if _, _, err := run.Straight(); !errors.Is(err, ErrEnded) {
			t.Errorf("of a run that is over: %v", err)
		}
		if conv.running.Load() != 0 {
			t.Error("a conversion outlives its run")
		}
	})
}

// Nothing is announced that cannot be made, and the reason is told.
func TestConversionProblem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		missing := errors.New("no ffmpeg")
		for _, conv := range []Converter{&echo{missing: missing}, nil} {
			b := newBench(t, Config{Converter: conv}, Spec{})
			p := b.publisher()
			b.sounds(p, opusTrack, 0, time.Second)
			rd := b.stream.Run().Subscribe(ReaderOptions{Sound: SoundAAC})
			if tracks := rd.Tracks(); len(tracks) != 1 {
				t.Errorf("tracks %v", tracks)
			}
			if converted, problem := b.stream.Run().Converted(SoundAAC); !converted || problem == nil || conv != nil && !errors.Is(problem, missing) {
				t.Errorf("converted %t, %v", converted, problem)
			}
			rd.Close()
			p.Close()
			b.hub.Close()
		}
	})
}
