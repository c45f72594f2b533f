package tap

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func watch(t *testing.T, b *Bus, user string) *Tap {
	t.Helper()
	tap, err := b.Watch(user)
	if err != nil {
		t.Fatal(err)
	}
	return tap
}

func TestBusTellsWatchersOfTheUser(t *testing.T) {
	b := New()
	mine, other := watch(t, b, "a"), watch(t, b, "b")
	b.Report("a", Event{Kind: Message, From: App, To: Cloud}, []byte(`{"type":"ping"}`))
	b.Report("a", Event{Kind: Close, From: App, Code: 1000, Reason: "bye http://h/live/secret"}, nil)
	events, err := mine.Next(t.Context())
	if err != nil || len(events) != 2 || events[0].Type != "ping" || events[0].Size != 15 || events[0].Time.IsZero() {
		t.Fatalf("got %+v, %v", events, err)
	}
	if events[1].Reason != "bye http://h/live/…" || events[1].Body != nil {
		t.Errorf("got %+v", events[1])
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if events, err := other.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("another user's watcher got %v, %v", events, err)
	}
	mine.Close()
	mine.Close()
	if !b.Active() {
		t.Error("somebody watches still")
	}
	other.Close()
	if b.Active() || len(b.taps) != 0 {
		t.Error("nobody watches any more")
	}
	var none *Bus
	if none.Active() {
		t.Error("a nil bus has watchers")
	}
	none.Report("a", Event{}, nil)
}

// A slow watcher loses the newest events and is told how many, at the place
// where they are missing; then it gets what comes.
func TestSlowWatcherLosesLines(t *testing.T) {
	cases := map[string]struct {
		frame []byte
		room  int
	}{
		"events": {[]byte(`{"type":"ping"}`), maxQueue},
		"bytes":  {make([]byte, maxBytes/8), 8},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := New()
			slow := watch(t, b, "a")
			for range c.room + 5 {
				b.Report("a", Event{Kind: Message}, c.frame)
			}
			got, lost := 0, uint64(0)
			for lost == 0 {
				events, err := slow.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range events {
					if lost = e.Lost; e.Kind != Lost {
						got++
					}
				}
			}
			if got != c.room || lost != 5 {
				t.Errorf("got %d and lost %d, want %d and 5", got, lost, c.room)
			}
			b.Report("a", Event{Kind: Connect}, nil)
			if events, _ := slow.Next(t.Context()); len(events) != 1 || events[0].Kind != Connect {
				t.Errorf("afterwards %+v", events)
			}
		})
	}
}

func TestBusBoundsWatchers(t *testing.T) {
	b := New()
	var last *Tap
	for range MaxTaps {
		last = watch(t, b, "a")
	}
	if _, err := b.Watch("b"); !errors.Is(err, ErrFull) {
		t.Errorf("one too many: %v", err)
	}
	last.Close()
	watch(t, b, "b")
}

// Close lets everybody read what waits and then ends; those who wait wake up.
func TestBusClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		waiting, full := watch(t, b, "a"), watch(t, b, "b")
		ended := make(chan error, 1)
		go func() {
			_, err := waiting.Next(t.Context())
			ended <- err
		}()
		synctest.Wait()
		b.Report("b", Event{Kind: Connect}, nil)
		b.Close()
		b.Close()
		if err := <-ended; !errors.Is(err, io.EOF) {
			t.Errorf("who waits gets %v", err)
		}
		if events, err := full.Next(t.Context()); err != nil || len(events) != 1 {
			t.Errorf("got %v, %v", events, err)
		}
		if _, err := full.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("then %v", err)
		}
		full.Close()
		if _, err := b.Watch("a"); !errors.Is(err, io.EOF) || b.Active() {
			t.Errorf("a closed bus lets watch: %v", err)
		}
	})
}
