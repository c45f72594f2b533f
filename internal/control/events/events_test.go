package events

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a wall clock that a test sets.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newLog(size int) (*Log, *clock) {
	c := &clock{time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
	return New(size, c.now), c
}

// told is what a follower gets without waiting.
func told(t *testing.T, s *Subscription) []string {
	t.Helper()
	var all []string
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for {
		batch, err := s.Next(ctx)
		if err != nil {
			return all
		}
		for _, e := range batch {
			word := string(e.Type)
			if e.Count > 0 {
				word += fmt.Sprint(e.Count)
			}
			all = append(all, word+e.Stream)
		}
	}
}

func follow(t *testing.T, l *Log, f Filter, after int64) *Subscription {
	t.Helper()
	s, err := l.Subscribe(f, after)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func publish(l *Log, n int) {
	for i := range n {
		l.Publish(Event{Type: StreamLive, Stream: fmt.Sprint(" ", i)})
	}
}

func TestFollow(t *testing.T) {
	l, _ := newLog(4)
	begin := l.last
	early := follow(t, l, Filter{}, -1)
	publish(l, 3)
	second := l.ring[1].ID
	for _, c := range []struct {
		name  string
		after int64
		want  string
	}{
		{"from now on", -1, ""},
		{"the newest is known", l.last, ""},
		{"after the second", second, "stream.live 2"},
		{"between two", second - 1, "stream.live 1, stream.live 2"},
		{"from where this process began", begin, "stream.live 0, stream.live 1, stream.live 2"},
		{"an id of an earlier process", begin - 1, "gap, stream.live 0, stream.live 1, stream.live 2"},
		{"all that is kept", 0, "gap, stream.live 0, stream.live 1, stream.live 2"},
		{"an id of the future", l.last + 1, "gap, stream.live 0, stream.live 1, stream.live 2"},
	} {
		s := follow(t, l, Filter{}, c.after)
		if got := strings.Join(told(t, s), ", "); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if s.Cursor() != l.last {
			t.Errorf("%s: goes on after %d, the newest is %d", c.name, s.Cursor(), l.last)
		}
		s.Close()
	}
	if got := strings.Join(told(t, early), ", "); got != "stream.live 0, stream.live 1, stream.live 2" {
		t.Errorf("who was there: %s", got)
	}
}

// A follower that the ring has overtaken is told how much is missing, also one
// whose filter takes none of it, and goes on with the oldest that is kept.
func TestOvertaken(t *testing.T) {
	l, _ := newLog(4)
	slow, picky := follow(t, l, Filter{}, -1), follow(t, l, Filter{Types: []string{"server.*"}}, -1)
	publish(l, 6)
	if got := strings.Join(told(t, slow), ", "); got != "gap2, stream.live 2, stream.live 3, stream.live 4, stream.live 5" {
		t.Errorf("told %s", got)
	}
	if got := strings.Join(told(t, picky), ", "); got != "gap2" {
		t.Errorf("a filter hides the gap: %s", got)
	}
	if st := l.Stats(); st.Lost != 4 || st.Published != 6 || st.Followers != 2 {
		t.Errorf("stats %+v", st)
	}
	again := follow(t, l, Filter{}, l.floor)
	if got := told(t, again); len(got) != 4 || got[0] != "stream.live 2" {
		t.Errorf("after the newest that is gone: %v", got)
	}
	if got := told(t, follow(t, l, Filter{}, l.floor-1)); len(got) != 5 || got[0] != "gap" {
		t.Errorf("after one that is gone: %v", got)
	}
}

// The id with which a follower goes on moves also while its filter takes
// nothing, so that an idle one meets no gap later.
func TestCursorMovesUnderAFilter(t *testing.T) {
	l, _ := newLog(2)
	s := follow(t, l, Filter{Wearer: "nobody"}, -1)
	for range 5 {
		publish(l, 1)
		if got := told(t, s); len(got) != 0 {
			t.Fatalf("told %v", got)
		}
	}
	if got := told(t, follow(t, l, Filter{}, s.Cursor())); len(got) != 0 {
		t.Errorf("went on with %v", got)
	}
}

func TestFilter(t *testing.T) {
	l, _ := newLog(16)
	l.Publish(Event{Type: StreamLive, Wearer: "a", Stream: "1"})
	l.Publish(Event{Type: StreamEnded, Wearer: "a", Stream: "1"})
	l.Publish(Event{Type: StreamLive, Wearer: "b", Stream: "2"})
	l.Publish(Event{Type: AppStarted, Wearer: "b"})
	for _, c := range []struct {
		filter Filter
		want   string
	}{
		{Filter{}, "stream.live1 stream.ended1 stream.live2 app.started"},
		{Filter{Types: []string{"stream.live"}}, "stream.live1 stream.live2"},
		{Filter{Types: []string{"stream.live", "app.*"}}, "stream.live1 stream.live2 app.started"},
		{Filter{Wearer: "b"}, "stream.live2 app.started"},
		{Filter{Stream: "1"}, "stream.live1 stream.ended1"},
		{Filter{Types: []string{"stream.*"}, Wearer: "b"}, "stream.live2"},
	} {
		s := follow(t, l, c.filter, l.floor)
		if got := strings.Join(told(t, s), " "); got != c.want {
			t.Errorf("%+v: %s, want %s", c.filter, got, c.want)
		}
	}
	for word, want := range map[string]bool{"stream.live": true, "stream.*": true, "*": true, "gap": true, "": false, "stream": false, "x.*": false} {
		if Known(word) != want {
			t.Errorf("%q is known: %v", word, !want)
		}
	}
}

// Ids rise whatever the clock does, and those of the next process are higher.
//
// FAULTS F22
func TestIdsRise(t *testing.T) {
	l, c := newLog(8)
	var last int64
	for _, step := range []time.Duration{0, 0, -10 * time.Minute, time.Hour, -time.Hour} {
		c.at = c.at.Add(step)
		publish(l, 1)
		if l.last <= last {
			t.Fatalf("%d after %d", l.last, last)
		}
		last = l.last
	}
	c.at = c.at.Add(2 * time.Hour)
	next := New(8, c.now)
	publish(next, 1)
	if next.ring[0].ID <= last {
		t.Errorf("the next process begins with %d, the last one was at %d", next.ring[0].ID, last)
	}
	if got := told(t, follow(t, next, Filter{}, last)); len(got) != 2 || got[0] != "gap" {
		t.Errorf("a follower of the last process is told %v", got)
	}
}

// Followers wait without being asked; the end of the log is the end of all.
func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(8, time.Now)
		var wg sync.WaitGroup
		for range MaxSubscriptions {
			s := follow(t, l, Filter{}, -1)
			wg.Go(func() {
				defer s.Close()
				batch, err := s.Next(t.Context())
				if err != nil || len(batch) != 1 || batch[0].Type != AppStopped {
					t.Errorf("%v, %v", batch, err)
				}
				if _, err := s.Next(t.Context()); !errors.Is(err, io.EOF) {
					t.Errorf("after the end: %v", err)
				}
			})
		}
		if _, err := l.Subscribe(Filter{}, -1); !errors.Is(err, ErrFull) {
			t.Errorf("one too many: %v", err)
		}
		synctest.Wait()
		l.Publish(Event{Type: AppStopped})
		synctest.Wait()
		l.Close()
		l.Close()
		l.Publish(Event{Type: AppStarted})
		wg.Wait()
		if st := l.Stats(); st.Followers != 0 || st.Published != 1 {
			t.Errorf("stats %+v", st)
		}
		if _, err := l.Subscribe(Filter{}, -1); !errors.Is(err, io.EOF) {
			t.Errorf("a closed log: %v", err)
		}
	})
}

// One wearer's storm leaves room for the others in the log.
func TestSource(t *testing.T) {
	l, c := newLog(DefaultSize)
	storm, calm := l.Source("storm"), l.Source("calm")
	calm.Publish(Event{Type: StreamLive, Stream: " first"})
	for range 100_000 {
		storm.Publish(Event{Type: Refused})
	}
	calm.Publish(Event{Type: StreamEnded, Stream: " second"})
	if n := l.Stats().Published; n != sourceLimit+2 {
		t.Errorf("%d events are in the log", n)
	}
	c.at = c.at.Add(sourceWindow)
	storm.Publish(Event{Type: AppStopped})
	storm.Flush()
	got := told(t, follow(t, l, Filter{Wearer: "storm"}, l.floor))
	if want := fmt.Sprint("events.suppressed", 100_000-sourceLimit, " app.stopped"); strings.Join(got[sourceLimit:], " ") != want {
		t.Errorf("then %v, want %s", got[sourceLimit:], want)
	}
	if got := told(t, follow(t, l, Filter{Wearer: "calm"}, l.floor)); len(got) != 2 {
		t.Errorf("the other one's: %v", got)
	}
	var none *Log
	none.Publish(Event{})
	none.Source("x").Publish(Event{})
}
