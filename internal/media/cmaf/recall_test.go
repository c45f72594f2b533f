package cmaf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

// withRecall lets a stream of Opus that nobody watches run for 30 s and calls try then.
func withRecall(t *testing.T, conv *toAAC, try func(t *testing.T, store *Store, now time.Duration)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p, h, stream := packaged(t, conv)
		done := false
		withOpus(t, h, 36*time.Second, 0, func(at time.Duration) {
			if at == 30*time.Second {
				go func() {
					try(t, p.Store(stream.Run()), firstPicture+at)
					done = true
				}()
			}
		})
		if !done {
			t.Error("it does not return")
		}
		if conv.running.Load() != 0 {
			t.Error("a live conversion was begun")
		}
		stream.Close("test")
		if n := p.Stats().Bytes; n < 0 || p.budget.stores.Load() == 0 && n != 0 {
			t.Errorf("%d bytes are left in the budget", n)
		}
	})
}

// wantSound fails unless each packet of a snapshot from one media time to another is
// the sound of that time, to half a packet, and all before it is silence.
func wantSound(t *testing.T, s *Snapshot, from, to time.Duration) {
	t.Helper()
	n, off, end := 0, 0, time.Duration(0)
	for _, seg := range s.Segments {
		at := seg.Time
		for _, sm := range parse(t, &Snapshot{Segments: []*Segment{seg}}) {
			var ms int64
			when := duration(at, seg.Init.Timescale)
			at += uint64(sm.Duration)
			end = duration(at, seg.Init.Timescale)
			if _, err := fmt.Sscanf(string(sm.Payload), "at %d", &ms); err != nil {
				if when >= from && when < to {
					t.Errorf("silence at %v", when)
				}
				continue
			}
			n++
			if d := firstPicture + time.Duration(ms)*time.Millisecond - when; d.Abs() > 12*time.Millisecond {
				off++ // the first of what was converted may stand in for the one before
			}
			if when < from-recallEarly-22*time.Millisecond {
				t.Errorf("sound at %v", when)
			}
		}
	}
	if off > 2 {
		t.Errorf("%d packets stand beside their time", off)
	}
	if end < to || n < int((to-from)/(22*time.Millisecond)) {
		t.Errorf("%d packets of sound, up to %v of %v", n, end, to)
	}
}

// Whoever asks for the past of a stream that nobody watches finds its sound, up to
// this moment; one conversion serves all who ask, and what they ask later.
func TestRecall(t *testing.T) {
	conv := &toAAC{}
	withRecall(t, conv, func(t *testing.T, store *Store, now time.Duration) {
		old := store.Audio().Snapshot()
		for range 3 {
			go func() { _ = store.Recall(t.Context(), now-20*time.Second) }()
		}
		begun := time.Now()
		if err := store.Recall(t.Context(), now-20*time.Second); err != nil {
			t.Error(err)
		}
		if d := time.Since(begun); d > 400*time.Millisecond {
			t.Errorf("it took %v", d)
		}
		if err := store.Recall(t.Context(), now-15*time.Second); err != nil {
			t.Error(err)
		}
		if n := conv.recalls.Load(); n != 1 {
			t.Errorf("%d conversions", n)
		}
		third := old.Segments[3]
		store.RecallSegment(t.Context(), third.Number)
		if n := conv.recalls.Load(); n != 2 {
			t.Errorf("%d conversions", n)
		}
		s := store.Audio().Snapshot()
		for _, seg := range old.Segments { // who had the older list gets the same bytes
			for i, p := range seg.Parts {
				if same := s.Segment(seg.Number); !bytes.Equal(p.Bytes(), same.Parts[i].Bytes()) {
					t.Errorf("part %d of segment %d has two contents", i, seg.Number)
				}
			}
		}
		wantSound(t, s, third.Wall.Sub(store.Origin()), now-300*time.Millisecond)
	})
}

// Who comes with Opus after somebody with AAC of another form is heard in the past too:
// silence has the form that the sound will have.
func TestRecallAfterAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, h, stream := packaged(t, &toAAC{})
		pub, err := h.Publish("key", hub.PublisherInfo{})
		if err != nil {
			t.Fatal(err)
		}
		defer pub.Close()
		const change, end = 10 * time.Second, 30 * time.Second
		tracks := map[time.Duration]*frame.Track{0: audioTrack(t, mono44), change: {Codec: &codec.Opus{Channels: 2}}}
		if err := pub.SetTrack(videoTrack(t, 1)); err != nil {
			t.Fatal(err)
		}
		for at := time.Duration(0); at < end; at += 20 * time.Millisecond {
			if track := tracks[at]; track != nil {
				err = pub.SetTrack(track)
			}
			if at%(40*time.Millisecond) == 0 {
				key := at%(2*time.Second) == 0
				err = errors.Join(err, pub.Video(at, at, key, payload(300, key)))
			}
			if err := errors.Join(err, pub.Audio(at, []byte{0xfc, 0xff, 0xfe})); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		store := p.Store(stream.Run())
		var bringing sync.WaitGroup
		bringing.Go(func() { // pictures bring what was converted
			for at := time.Duration(end); at < end+time.Second; at += 40 * time.Millisecond {
				_ = pub.Video(at, at, false, payload(300, false))
				time.Sleep(40 * time.Millisecond)
			}
		})
		if err := store.Recall(t.Context(), firstPicture); err != nil {
			t.Error(err)
		}
		bringing.Wait()
		s := store.Audio().Snapshot()
		var spoken *Snapshot
		for i, seg := range s.Segments {
			if codec.Same(seg.Init.Codec, codec.StandardAAC()) && spoken == nil {
				spoken = &Snapshot{Segments: s.Segments[i:]}
			}
		}
		if spoken == nil {
			t.Fatal("the sound keeps the form of who came first")
		}
		wantSound(t, spoken, firstPicture+change+2*time.Second, firstPicture+end-500*time.Millisecond)
	})
}

// Bytes that were handed out stay what they are; what is near to live is the live
// conversion's.
func TestRecallKeepsWhatWasGiven(t *testing.T) {
	conv := &toAAC{}
	withRecall(t, conv, func(t *testing.T, store *Store, now time.Duration) {
		s := store.Audio().Snapshot()
		seg := s.Segments[len(s.Segments)-3]
		given := bytes.Clone(seg.Parts[1].Bytes())
		if err := store.Recall(t.Context(), duration(seg.Time, seg.Init.Timescale)); err != nil {
			t.Error(err)
		}
		after := store.Audio().Snapshot().Segment(seg.Number)
		if !bytes.Equal(given, after.Parts[1].Bytes()) {
			t.Error("a part has changed that somebody has")
		}
		if !bytes.Contains(after.Parts[2].Bytes(), []byte("at ")) {
			t.Error("the next part is silent")
		}
		v := store.Video().Snapshot()
		store.RecallSegment(t.Context(), v.Segments[len(v.Segments)-2].Number)
		store.RecallSegment(t.Context(), v.NextNumber+100)
		if n := conv.recalls.Load(); n != 1 {
			t.Errorf("%d conversions", n)
		}
	})
}

// A conversion that fails is told of, is not tried again at once, and leaves silence;
// who goes away does not wait.
func TestRecallFails(t *testing.T) {
	conv := &toAAC{mute: true}
	withRecall(t, conv, func(t *testing.T, store *Store, now time.Duration) {
		for range 3 {
			if err := store.Recall(t.Context(), now-20*time.Second); !errors.Is(err, ErrNoSound) {
				t.Error(err)
			}
		}
		if n := conv.recalls.Load(); n != 1 {
			t.Errorf("%d conversions", n)
		}
		conv.mute = false
		time.Sleep(recallRest)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := store.Recall(ctx, now-20*time.Second); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		time.Sleep(300 * time.Millisecond)
		wantSound(t, store.Audio().Snapshot(), now-22*time.Second, now+3*time.Second) // from the segment's beginning
	})
}
