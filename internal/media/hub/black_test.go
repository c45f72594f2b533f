package hub

import (
	"testing"
	"testing/synctest"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

// hum publishes sound alone for a time, from source time at.
func (b *bench) hum(p *Publisher, at, d time.Duration) {
	b.t.Helper()
	for end := at + d; at < end; at += 20 * time.Millisecond {
		if err := p.Audio(at, aac); err != nil {
			b.t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	synctest.Wait()
}

// Sound alone is live within 3 s, with a black picture that stands still; it is
// held when the publisher leaves; pictures that come after all take over at their
// first key frame.
func TestSoundAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{}, Spec{ResumeWindow: time.Minute})
		p, err := b.hub.Publish("key", PublisherInfo{Protocol: "test"})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.SetTrack(audioTrack); err != nil {
			t.Fatal(err)
		}
		b.hum(p, 0, 1900*time.Millisecond)
		b.wantEvents()
		b.hum(p, 1900*time.Millisecond, time.Second)
		b.wantEvents(EventLive)
		run := b.stream.Run()
		rd := run.Subscribe(ReaderOptions{})
		defer rd.Close()
		if tracks := run.Tracks(); len(tracks) != 2 || tracks[0].Codec.(*codec.H264).Width != 320 {
			t.Fatalf("tracks %v", tracks)
		}
		b.hum(p, 2900*time.Millisecond, 2*time.Second)
		pictures, keys, sounds := count(drain(rd))
		if pictures < 10 || pictures > 16 || keys < 1 || keys > 2 || sounds < 100 {
			t.Errorf("%d pictures, %d of them key frames, %d packets of sound in 3 s", pictures, keys, sounds)
		}
		if err := p.SetTrack(videoTrack); err != nil {
			t.Fatal(err)
		}
		if err := p.Video(4900*time.Millisecond, 4900*time.Millisecond, false, slice); err != nil {
			t.Fatal(err)
		}
		b.hum(p, 4900*time.Millisecond, time.Second)
		if _, keys, _ := count(drain(rd)); keys > 1 {
			t.Error("pictures without a key frame count")
		}
		if run.Tracks()[0] == videoTrack {
			t.Error("pictures took over without a key frame")
		}
		b.gop(p, 5900*time.Millisecond, 30)
		synctest.Wait()
		frames := drain(rd)
		if pictures, keys, _ := count(frames); pictures != 30 || keys != 1 {
			t.Errorf("%d pictures of 30, %d key frames", pictures, keys)
		}
		b.hum(p, 6900*time.Millisecond, time.Second)
		if pictures, _, _ := count(drain(rd)); pictures != 0 {
			t.Error("black again")
		}
		b.wantEvents(EventLive)
		p.Close()
		b.hub.Close()
	})
}

// Sound alone does not take a stream from who sends pictures.
func TestSoundAloneTakesNothingOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{}, Spec{})
		defer b.hub.Close()
		first := b.publisher()
		defer first.Close()
		b.gop(first, 0, 1)
		second, err := b.hub.Publish("key", PublisherInfo{Protocol: "test"})
		if err != nil {
			t.Fatal(err)
		}
		defer second.Close()
		if err := second.SetTrack(audioTrack); err != nil {
			t.Fatal(err)
		}
		for n := range 4 {
			b.gop(first, time.Duration(n+1)*time.Second, 25)
			b.hum(second, time.Duration(n)*time.Second, 100*time.Millisecond)
		}
		b.wantEvents(EventLive)
	})
}

func count(frames []*frame.Frame) (pictures, keys, sounds int) {
	for _, f := range frames {
		switch {
		case !f.IsVideo():
			sounds++
		case f.Key:
			keys++
			fallthrough
		default:
			pictures++
		}
	}
	return pictures, keys, sounds
}
