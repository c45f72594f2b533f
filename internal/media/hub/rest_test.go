package hub

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// A patient reader is woken for many frames together, loses none by waiting, not
// even over a silence, and gets what waits as soon as it is patient no more.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{}, Spec{ResumeWindow: time.Minute})
		defer b.hub.Close()
		p := b.publisher()
		b.gop(p, 0, 1)
		rd := b.stream.Run().Subscribe(ReaderOptions{})
		defer rd.Close()
		total, wakes := 0, 0
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				frames, err := rd.Next(t.Context(), nil)
				if err != nil {
					return
				}
				total, wakes = total+len(frames), wakes+1
			}
		}()
		synctest.Wait()
		begun := total
		if rd.SetPatience(500 * time.Millisecond) {
			t.Error("frames wait though all were read")
		}
		const sent = 300
		for i := 1; i <= sent; i++ {
			at, payload := time.Duration(i)*time.Second/30, slice
			if i%30 == 0 {
				payload = idr
			}
			if err := p.Video(at, at, i%30 == 0, payload); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second / 30)
			if i == sent/2 {
				time.Sleep(4 * time.Second) // longer than a reader may lag
			}
		}
		synctest.Wait()
		if want := sent / 15; wakes-1 > want {
			t.Errorf("woken %d times for %d pictures, want at most %d", wakes-1, sent, want)
		}
		rd.SetPatience(0)
		synctest.Wait()
		if total-begun != sent || rd.Dropped() != 0 {
			t.Errorf("%d pictures of %d, %d dropped", total-begun, sent, rd.Dropped())
		}
		b.stream.Close("test")
		<-done
	})
}

// A publisher rests only while nobody wants frames at once, and no longer when
// somebody comes.
func TestPublisherRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{}, Spec{ResumeWindow: time.Second})
		defer b.hub.Close()
		p := b.publisher()
		b.gop(p, 0, 1)
		if p.Calm() {
			t.Error("calm though the run has just begun")
		}
		time.Sleep(restAfter)
		if !p.Calm() {
			t.Fatal("not calm though nobody reads")
		}
		time.Sleep(restTime / 3)
		began := time.Now()
		p.Rest()
		if d := time.Since(began); d <= 0 || d > restTime || time.Now().UnixNano()%int64(restTime) != 0 {
			t.Errorf("rested %v, until %v", d, time.Now())
		}
		rested := make(chan time.Duration)
		rest := func() {
			began := time.Now()
			p.Rest()
			rested <- time.Since(began)
		}
		go rest()
		synctest.Wait()
		rd := b.stream.Run().Subscribe(ReaderOptions{})
		if d := <-rested; d != 0 || p.Calm() {
			t.Errorf("rested %v more when a reader came", d)
		}
		rd.SetPatience(time.Second)
		if !p.Calm() {
			t.Error("not calm with a patient reader")
		}
		go rest()
		synctest.Wait()
		rd.SetPatience(0)
		if d := <-rested; d != 0 {
			t.Errorf("rested %v more when a reader became impatient", d)
		}
		rd.Close()
		go rest()
		synctest.Wait()
		p.Close()
		if d := <-rested; d != 0 || p.Calm() {
			t.Errorf("rested %v more when closed", d)
		}
	})
}

// A frame costs as many allocations with a thousand readers as with none.
func TestPublishAllocatesOnce(t *testing.T) {
	h := New(Config{}, slog.New(slog.DiscardHandler))
	defer h.Close()
	s, err := h.Open(Spec{ID: "a", IngestKey: "k", PlaybackID: "p"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := h.Publish("k", PublisherInfo{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.SetTrack(videoTrack), p.Video(0, 0, true, idr)); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		s.Run().Subscribe(ReaderOptions{})
	}
	at := time.Duration(0)
	n := testing.AllocsPerRun(500, func() {
		at += 33 * time.Millisecond
		if err := p.Video(at, at, at%(330*time.Millisecond) == 0, idr); err != nil {
			t.Fatal(err)
		}
	})
	if n > 2 { // the frame, and now and then the ring
		t.Errorf("%v allocations a frame", n)
	}
}
