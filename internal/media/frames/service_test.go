package frames

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/internal/media/hub"
	"glimpse/protocol"
)

// gone reports whether a child was stopped.
func (c *drawing) gone() bool { return c.ctx.Err() != nil }

// read takes what is there and counts pictures.
func read(t *testing.T, sub *Subscription) (pictures int, last News) {
	t.Helper()
	for {
		n, ok, _ := sub.take()
		if !ok {
			return pictures, last
		}
		if n.Picture != nil {
			pictures++
			last = n
		}
	}
}

// One decoder serves all who want a size, each at its own rate; another size has
// another decoder.
func TestOneDecoderPerSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEasel()
		s := newStudio(t, Config{Decoder: e})
		s.live(t)
		one := s.subscribe(t, "one", Options{1, 640, JPEG})
		five := s.subscribe(t, "five", Options{5, 640, RGB})
		ten := s.subscribe(t, "ten", Options{10, 640, Gray})
		s.subscribe(t, "small", Options{10, 320, Gray})
		s.subscribe(t, "as large as the source", Options{10, 1280, Gray})
		s.subscribe(t, "larger than the source", Options{10, 1920, Gray})
		synctest.Wait()
		byWidth := map[int]*drawing{}
		for _, c := range e.children {
			if !c.gone() {
				byWidth[c.d.Width] = c
			}
		}
		c := byWidth[640]
		if len(byWidth) != 3 || c == nil || c.d.FPS != 10 || s.Stats().Decoders != 3 {
			t.Fatalf("%d sizes, %+v, %+v", len(byWidth), c, s.Stats())
		}
		var got [3]int
		for i := range 100 { // 10 s
			c.draw(time.Duration(i+1) * 100 * time.Millisecond)
			for j, sub := range []*Subscription{one, five, ten} {
				n, last := read(t, sub)
				got[j] += n
				if n > 0 && (last.Header.Seq != uint64(got[j]) || last.Header.Dropped != 0 || last.Header.PTS != float64(100*(i+1)) || last.Header.Width != 640 || last.Header.Height != 360) {
					t.Fatalf("%+v", last.Header)
				}
			}
		}
		if got != [3]int{10, 50, 100} {
			t.Errorf("%v pictures in 10 s at 1, 5 and 10 a second", got)
		}
	})
}

// A subscriber that takes nothing keeps five pictures, is told what it lost, and
// changes nothing for the others.
func TestStalledSubscriber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEasel()
		s := newStudio(t, Config{Decoder: e})
		s.live(t)
		stalled, well := s.subscribe(t, "stalled", Options{10, 640, JPEG}), s.subscribe(t, "well", Options{10, 640, JPEG})
		c := e.next(t)
		for i := range 18 {
			c.draw(time.Duration(i+1) * 100 * time.Millisecond)
			if n, last := read(t, well); n != 1 || last.Header.Dropped != 0 {
				t.Fatalf("picture %d: %d came, %d dropped", i, n, last.Header.Dropped)
			}
		}
		first := await(t, stalled, "a picture", isPicture).Header
		if first.Seq != 16 || first.Dropped != 15 {
			t.Errorf("the first after a stall: %+v", first)
		}
		if n, last := read(t, stalled); n != 2 || last.Header.Seq != 18 || last.Header.Dropped != 0 {
			t.Errorf("then %d, %+v", n, last.Header)
		}
		list := s.Subscribers(s.stream)
		if len(list) != 2 || list[0].App+list[1].App != "stalledwell" && list[0].App+list[1].App != "wellstalled" || s.Stats().Dropped != 15 {
			t.Errorf("%+v, %+v", list, s.Stats())
		}
	})
}

// A decoder is stopped within 10 s after its last subscriber, not before somebody
// could be back.
func TestUnusedDecoderStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEasel()
		s := newStudio(t, Config{Decoder: e})
		s.live(t)
		sub := s.subscribe(t, "a", Options{10, 640, JPEG})
		c := e.next(t)
		c.draw(time.Second)
		sub.Close()
		time.Sleep(3 * time.Second)
		again := s.subscribe(t, "a", Options{10, 640, JPEG})
		synctest.Wait()
		if c.gone() || e.started() != 1 {
			t.Fatal("somebody who came back had to wait for another decoder")
		}
		again.Close()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if st := s.Stats(); !c.gone() || st.Decoders != 0 || st.Subscribers != 0 {
			t.Errorf("10 s later: stopped %t, %+v", c.gone(), st)
		}
	})
}

// A faster subscriber gets a faster decoder, whose predecessor goes on until it has
// given its first picture; a slower one is enough only some time later.
func TestRateChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEasel()
		s := newStudio(t, Config{Decoder: e})
		s.live(t)
		slow := s.subscribe(t, "slow", Options{5, 640, JPEG})
		first := e.next(t)
		first.draw(time.Second)
		fast := s.subscribe(t, "fast", Options{30, 640, JPEG})
		second := e.next(t)
		first.draw(1200 * time.Millisecond)
		if n, _ := read(t, slow); n != 2 || first.gone() || second.d.FPS != 30 {
			t.Fatalf("%d pictures, the first decoder gone: %t, the second %+v", n, first.gone(), second.d)
		}
		second.draw(1200 * time.Millisecond) // known already
		second.draw(1233 * time.Millisecond)
		first.draw(1400 * time.Millisecond)
		if n, last := read(t, fast); n != 3 || last.Header.PTS != 1233 || !first.gone() {
			t.Errorf("%d pictures, the last at %v ms, the first decoder gone: %t", n, last.Header.PTS, first.gone())
		}
		fast.Close()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if e.started() != 2 {
			t.Error("replaced at once")
		}
		time.Sleep(6 * time.Second)
		if third := e.next(t); third.d.FPS != 5 || second.gone() {
			t.Errorf("%+v, the second decoder gone: %t", third.d, second.gone())
		}
	})
}

// Only so many decoders decode all pictures, and only so many there are at all.
func TestCaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEasel()
		s := newStudio(t, Config{Decoder: e, MaxDecoders: 1, MaxTaps: 2, MaxSubscribers: 3})
		s.live(t)
		first := s.subscribe(t, "a", Options{10, 640, JPEG})
		a := e.next(t)
		second := s.subscribe(t, "b", Options{10, 320, JPEG})
		b := e.next(t)
		if a.sink.KeysOnly() || !b.sink.KeysOnly() {
			t.Error("the place is not the first one's")
		}
		b.sink.Limited(true)
		b.draw(time.Second)
		n := await(t, second, "overloaded", isState(protocol.StateOverloaded))
		if n.State.Reason == "" || s.Stats().Limited != 1 {
			t.Errorf("%+v, %+v", n.State, s.Stats())
		}
		if _, err := s.Subscribe(s.stream, "c", Options{10, 160, JPEG}); !errors.Is(err, ErrCrowded) {
			t.Errorf("a third size: %v", err)
		}
		s.subscribe(t, "c", Options{10, 320, JPEG})
		if _, err := s.Subscribe(s.stream, "d", Options{10, 320, JPEG}); !errors.Is(err, ErrCrowded) {
			t.Errorf("a fourth subscriber: %v", err)
		}
		first.Close()
		time.Sleep(8 * time.Second)
		synctest.Wait()
		if b.sink.KeysOnly() {
			t.Error("a free place is not taken")
		}
		b.sink.Limited(false)
		await(t, second, "running", isState(protocol.StateRunning))
	})
}

// A publisher that leaves, comes back, and comes again much later: subscribers and
// readers are told of each, and each has its own epoch.
func TestEpochs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEasel()
		s := newStudio(t, Config{Decoder: e})
		sub := s.subscribe(t, "a", Options{10, 640, JPEG})
		reader, err := s.Read(s.stream)
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		if h := await(t, sub, "hello", func(n News) bool { return n.Hello != nil }).Hello; h.Epoch != 0 || h.Stream != "p" || h.FPS != 10 {
			t.Errorf("%+v", h)
		}
		await(t, sub, "no video", isState(protocol.StateNoVideo))
		last := uint32(0)
		epoch := func(pts time.Duration) *drawing {
			t.Helper()
			s.live(t)
			var c *drawing
			for c = e.next(t); len(e.news) > 0; c = e.next(t) {
			}
			c.draw(pts)
			h := await(t, sub, "hello", func(n News) bool { return n.Hello != nil && n.Hello.Epoch > 0 }).Hello
			if h.Epoch <= last || h.SourceWidth != 1280 || h.Width != 640 || h.Height != 360 || h.RTPBase != c.run.RTPBase() {
				t.Errorf("%+v after epoch %d", h, last)
			}
			last = h.Epoch
			f := await(t, sub, "a picture", isPicture).Header
			if f.Epoch != last || f.RTP != c.run.RTPBase()+uint32(pts*90/time.Millisecond) {
				t.Errorf("%+v", f)
			}
			return c
		}
		epoch(100 * time.Millisecond)
		s.publisher.Close()
		await(t, sub, "no video", isState(protocol.StateNoVideo))
		time.Sleep(10 * time.Second)
		s.live(t) // within the window: another epoch of the same run
		await(t, sub, "running", isState(protocol.StateRunning))
		s.publisher.Close()
		time.Sleep(2 * time.Minute) // the run is over
		if s.stream.State() != hub.StateIdle {
			t.Fatal("the run goes on")
		}
		epoch(100 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if list, err := reader.Next(ctx); err != nil || len(list) == 0 {
			t.Errorf("%d messages, %v", len(list), err)
		}
	})
}

// A stream that ends says so to everybody.
func TestStreamEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEasel()
		s := newStudio(t, Config{Decoder: e})
		s.live(t)
		sub := s.subscribe(t, "a", Options{10, 640, JPEG})
		reader, err := s.Read(s.stream)
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		e.next(t)
		s.stream.Close("the operator deleted it")
		await(t, sub, "stopped", isState(protocol.StateStopped))
		if _, err := sub.Next(t.Context()); !errors.Is(err, ErrOver) {
			t.Error(err)
		}
		for err == nil {
			_, err = reader.Next(t.Context())
		}
		if !errors.Is(err, ErrOver) {
			t.Error(err)
		}
	})
}
