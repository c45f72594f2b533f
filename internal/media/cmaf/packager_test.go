package cmaf

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

func TestPackager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		p := New(Config{}, log)
		h := hub.New(hub.Config{}, log, p.Output)
		stream, err := h.Open(hub.Spec{ID: "s1", IngestKey: "key", PlaybackID: "pb", Standing: true})
		if err != nil {
			t.Fatal(err)
		}
		if p.Store(nil) != nil {
			t.Error("a store without a run")
		}
		publish := func(d time.Duration) {
			pub, err := h.Publish("key", hub.PublisherInfo{})
			if err != nil {
				t.Fatal(err)
			}
			if err := pub.SetTrack(videoTrack(t, 1)); err != nil {
				t.Fatal(err)
			}
			for i := range int(d * 30 / time.Second) {
				at := time.Duration(i) * time.Second / 30
				if err := pub.Video(at, at, i%60 == 0, payload(300, i%60 == 0)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second / 30)
			}
			synctest.Wait()
		}
		publish(40 * time.Millisecond)
		run := stream.Run()
		store := p.Store(run)
		select {
		case <-store.Ready():
		default:
			t.Fatal("not ready after the first key frame")
		}
		publish(5 * time.Second) // another publisher takes over
		first := store.Video().Snapshot()
		if got := p.Stats(); got.Stores != 1 || got.Bytes == 0 || got.Shrunk != 0 {
			t.Errorf("%+v", got)
		}
		stream.Close("test")
		synctest.Wait()
		<-store.Done()
		if p.Store(run) != nil {
			t.Error("a store of a run that is over")
		}
		if got := p.Stats(); got != (Stats{}) {
			t.Errorf("after the end: %+v", got)
		}
		if len(first.Segments) < 3 {
			t.Errorf("%d segments", len(first.Segments))
		}
		h.Close()
	})
}

// A second run of a standing stream has other names and higher numbers.
func TestNextRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		p := New(Config{}, log)
		h := hub.New(hub.Config{}, log, p.Output)
		defer h.Close()
		stream, err := h.Open(hub.Spec{ID: "s1", IngestKey: "key", PlaybackID: "pb", Standing: true, ResumeWindow: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		next, names := uint64(0), map[string]bool{}
		for range 3 {
			pub, err := h.Publish("key", hub.PublisherInfo{})
			if err != nil {
				t.Fatal(err)
			}
			if err := pub.SetTrack(videoTrack(t, 1)); err != nil {
				t.Fatal(err)
			}
			for i := range 100 {
				at := time.Duration(i) * time.Second / 30
				if err := pub.Video(at, at, i%15 == 0, payload(300, i%15 == 0)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second / 30)
			}
			synctest.Wait()
			store := p.Store(stream.Run())
			snap := store.Video().Snapshot()
			if snap.Segments[0].Number < next {
				t.Errorf("numbers fall from %d to %d", next, snap.Segments[0].Number)
			}
			next = snap.NextNumber
			if name := string(store.Video().AppendInit(nil, 0)); names[name] {
				t.Errorf("%s is used again", name)
			} else {
				names[name] = true
			}
			pub.Close()
			time.Sleep(2 * time.Second)
		}
	})
}

func TestUnsupportedPictures(t *testing.T) { // the store stays empty, nothing hangs
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		p := New(Config{}, log)
		h := hub.New(hub.Config{}, log, p.Output)
		defer h.Close()
		stream, err := h.Open(hub.Spec{ID: "s1", IngestKey: "key", PlaybackID: "pb"})
		if err != nil {
			t.Fatal(err)
		}
		pub, err := h.Publish("key", hub.PublisherInfo{})
		if err != nil {
			t.Fatal(err)
		}
		if err := pub.SetTrack(&frame.Track{Codec: noVideo{}}); err != nil {
			t.Fatal(err)
		}
		if err := pub.Video(0, 0, true, payload(100, true)); err != nil {
			t.Fatal(err)
		}
		run := stream.Run()
		store := p.Store(run)
		synctest.Wait()
		select {
		case <-store.Ready():
			t.Error("ready")
		default:
		}
	})
}
