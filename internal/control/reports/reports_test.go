package reports

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"glimpse/internal/control/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, backend store.Backend) *Store {
	t.Helper()
	s, err := New(t.Context(), backend, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What a run did is told from its samples: of a stream that had runs before, only
// what is new; the time without a publisher; and a curve that stays small.
func TestRecorder(t *testing.T) {
	begin := time.Date(2026, 11, 28, 1, 0, 0, 0, time.UTC)
	r := newRecorder("id", Subject{Stream: "s", Name: "door", Started: begin}, Sample{Publishers: 3, Frames: 100, Bytes: 1000, Dropped: 5})
	const hours = 2
	for i := range hours * 3600 {
		s := Sample{
			Publishers: 3, Frames: 100 + uint64(i+1)*30, Bytes: 1000 + uint64(i+1)*1000, Bitrate: 8000, Dropped: 5, Now: 2,
			Audience: map[string]Audience{"hls": {Peak: 2, Total: 4, Watched: 10}, "whep": {Peak: 1, Total: 1, Watched: 5}},
		}
		if i >= 3600 { // another publisher, after 100 s
			s.Publishers, s.Dropped, s.Away, s.Now = 4, 9, i < 3700, 3
		}
		r.add(s, begin.Add(time.Duration(i+1)*time.Second))
		if n := len(r.report.Curve.Bitrate); n >= maxPoints || n != len(r.report.Curve.Viewers) {
			t.Fatalf("%d points", n)
		}
	}
	got := r.end(Sample{Publishers: 4, Frames: 100 + 7200*30, Bytes: 1000 + 7200*1000, Dropped: 9}, begin.Add(hours*time.Hour), Over)
	if got.Duration != 7200 || got.Frames != 7200*30 || got.Bytes != 7200*1000 || got.Bitrate != 8000 || got.PeakBitrate != 8000 ||
		got.Reconnects != 1 || got.Interrupted != 100 || got.Dropped != 4 || got.End != Over || !got.Ended.Equal(begin.Add(hours*time.Hour)) {
		t.Errorf("%+v", got)
	}
	if got.Viewers != (Audience{Peak: 3, Total: 5, Watched: 15}) {
		t.Errorf("viewers %+v", got.Viewers)
	}
	c := got.Curve
	if c.Step*float64(len(c.Bitrate)) < 7200*0.9 || c.Bitrate[0] != 8000 || c.Viewers[0] != 2 {
		t.Errorf("%d points of %g s: %+v", len(c.Bitrate), c.Step, c)
	}
	low := math.Inf(1)
	for _, b := range c.Bitrate {
		low = min(low, b)
	}
	if low > 1000 {
		t.Errorf("the curve does not show the time without a publisher: never below %g", low)
	}
}

// A run is followed to its end, and what a killed server left says so.
func TestReportsSurviveAKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := store.NewMemory()
		defer backend.Close()
		s := open(t, backend)
		begin := time.Now()
		sample := func() Sample {
			return Sample{Publishers: 1, Bytes: uint64(time.Since(begin) / time.Second), Outputs: []Delivery{{ID: "o", URL: "rtmp://x/…"}}}
		}
		ctx, end := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		done := make(chan Report, 2)
		wg.Go(func() {
			s.Follow(ctx, Subject{Stream: "short", Started: begin}, sample, func(r Report) { done <- r })
		})
		long, kill := context.WithCancel(t.Context())
		wg.Go(func() { s.Follow(long, Subject{Stream: "long", Started: begin}, sample, func(Report) {}) })
		time.Sleep(20 * time.Second)
		if list := s.List("", 10); len(list) != 2 || list[0].End != Running || list[0].Curve != nil || list[0].Bytes == 0 {
			t.Errorf("while they run: %+v", list)
		}
		end()
		finished := <-done
		if finished.End != Over || finished.Duration != 20 || len(finished.Outputs) != 1 {
			t.Errorf("finished: %+v", finished)
		}
		time.Sleep(13 * time.Second) // the last time that it was written is at 30 s
		synctest.Wait()

		next := open(t, backend) // beside the old one, which is killed
		kill()
		wg.Wait()
		list := next.List("long", 10)
		if len(list) != 1 || list[0].End != Killed || list[0].Duration != 30 || !list[0].Ended.Equal(begin.Add(30*time.Second).UTC()) {
			t.Errorf("after a kill: %+v", list)
		}
		whole, err := next.Get(finished.ID)
		if err != nil || whole.End != Over || len(whole.Curve.Bitrate) != 20 {
			t.Errorf("the finished one: %+v, %v", whole, err)
		}
		next.Close()
		s.Close()
	})
}

// A server that stops says that it was the end, and only the newest are kept.
func TestStoppingAndBounds(t *testing.T) {
	backend := store.NewMemory()
	defer backend.Close()
	s := open(t, backend)
	s.Stopping()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Follow(ctx, Subject{Stream: "x", Started: time.Now()}, func() Sample { return Sample{} }, func(r Report) {
		if r.End != Stopped {
			t.Errorf("ended as %s", r.End)
		}
	})
	old := time.Now().Add(-MaxAge - time.Hour)
	s.put(Report{ID: "old", Started: old, Ended: &old, End: Over})
	for i := range MaxReports + 5 {
		at := time.Now().Add(time.Duration(i) * time.Second)
		s.put(Report{ID: fmt.Sprint("r", i), Started: at, Ended: &at, End: Over})
	}
	s.Close()
	s = open(t, backend)
	defer s.Close()
	list := s.List("", 10*MaxReports)
	if len(list) != MaxReports || list[0].ID != fmt.Sprint("r", MaxReports+4) || list[len(list)-1].ID != "r5" {
		t.Errorf("%d kept, %s to %s", len(list), list[0].ID, list[len(list)-1].ID)
	}
	if _, err := s.Get("old"); !errors.Is(err, ErrUnknown) {
		t.Errorf("an old one: %v", err)
	}
}
