package reports

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"glimpse/internal/control/store"
)

// The bounds of what is kept.
const (
	MaxReports = 500
	MaxAge     = 90 * 24 * time.Hour
)

// saveEvery is how often the report of a run that goes on is written.
const saveEvery = 15 * time.Second

// writeTime bounds one write.
const writeTime = 5 * time.Second

// ErrUnknown says that there is no such report, or not any more.
var ErrUnknown = errors.New("there is no such report")

// Store keeps the reports. Make it with New; Close it when no run goes on.
type Store struct {
	bucket *store.Bucket[Report]
	now    func() time.Time
	log    *slog.Logger
	wake   chan struct{} // capacity 1
	quit   context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	reports map[string]Report
	dirty   map[string]bool // to be written, or deleted when it is not in reports
	stopped bool            // the server goes down
}

// New reads what is kept. Reports of runs that a killed server left end with their
// last sample.
func New(ctx context.Context, backend store.Backend, now func() time.Time, log *slog.Logger) (*Store, error) {
	bucket, items, err := store.Load[Report](ctx, backend, "reports", log)
	if err != nil {
		return nil, err
	}
	s := &Store{bucket: bucket, now: now, log: log, wake: make(chan struct{}, 1), reports: map[string]Report{}, dirty: map[string]bool{}}
	for _, item := range items {
		r := item.Value
		if r.End == Running {
			at := r.Started.Add(time.Duration(r.Duration * float64(time.Second)))
			r.Ended, r.End = &at, Killed
			s.dirty[r.ID] = true
		}
		s.reports[r.ID] = r
	}
	s.trim()
	writing, quit := context.WithCancel(context.Background())
	s.quit = quit
	s.wg.Go(func() { s.write(writing) })
	s.signal()
	return s, nil
}

// Close writes what has still to be written, for at most 5 s. Idempotent.
func (s *Store) Close() {
	s.quit()
	s.wg.Wait()
}

// Stopping says that runs which end from now on end with the server.
func (s *Store) Stopping() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
}

// Follow makes the report of a run until ctx ends. It is called in a goroutine of
// the run's. done is told the finished report.
func (s *Store) Follow(ctx context.Context, of Subject, sample func() Sample, done func(Report)) {
	r := newRecorder(strings.ToLower(rand.Text()[:12]), of, sample())
	s.put(r.snapshot())
	tick := time.NewTicker(SampleEvery)
	defer tick.Stop()
	saved := s.now()
	for {
		select {
		case <-tick.C:
			now := s.now()
			r.add(sample(), now)
			s.keep(r.snapshot(), now.Sub(saved) >= saveEvery)
			if now.Sub(saved) >= saveEvery {
				saved = now
			}
			continue
		case <-ctx.Done():
		}
		how := Over
		s.mu.Lock()
		if s.stopped {
			how = Stopped
		}
		s.mu.Unlock()
		finished := r.end(sample(), s.now(), how)
		s.put(finished)
		done(finished)
		return
	}
}

// put keeps a report and has it written.
func (s *Store) put(r Report) { s.keep(r, true) }

// keep shows a report, and has it written if it is time.
func (s *Store) keep(r Report, write bool) {
	s.mu.Lock()
	s.reports[r.ID] = r
	if write {
		s.dirty[r.ID] = true
		s.trim()
	}
	s.mu.Unlock()
	if write {
		s.signal()
	}
}

func (s *Store) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// trim forgets the oldest; mu is held, or nobody else is there.
func (s *Store) trim() {
	list := s.sorted()
	for i, r := range list {
		if i >= MaxReports || s.now().Sub(r.Started) > MaxAge && r.End != Running {
			delete(s.reports, r.ID)
			s.dirty[r.ID] = true
		}
	}
}

// sorted lists the newest first; mu is held.
func (s *Store) sorted() []Report {
	list := make([]Report, 0, len(s.reports))
	for _, r := range s.reports {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b Report) int { return cmp.Or(b.Started.Compare(a.Started), strings.Compare(a.ID, b.ID)) })
	return list
}

// List returns the reports of a stream (empty: of all), the newest first, at most
// limit, without their curves.
func (s *Store) List(stream string, limit int) []Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Report{}
	for _, r := range s.sorted() {
		if (stream == "" || r.Stream == stream) && len(list) < limit {
			r.Curve = nil
			list = append(list, r)
		}
	}
	return list
}

// Get returns a whole report, or ErrUnknown.
func (s *Store) Get(id string) (Report, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.reports[id]
	if !ok {
		return Report{}, ErrUnknown
	}
	return r, nil
}

// write writes until ctx ends, and then what is left.
func (s *Store) write(ctx context.Context) {
	for open := true; open; {
		select {
		case <-s.wake:
		case <-ctx.Done():
			open = false
		}
		limited, cancel := context.WithTimeout(context.Background(), writeTime)
		s.flush(limited)
		cancel()
	}
}

// flush writes what is dirty; what cannot be written is left out, with a word.
func (s *Store) flush(ctx context.Context) {
	s.mu.Lock()
	dirty, values := s.dirty, map[string]Report{}
	for id := range dirty {
		if r, ok := s.reports[id]; ok {
			values[id] = r
		}
	}
	s.dirty = map[string]bool{}
	s.mu.Unlock()
	for id := range dirty {
		var err error
		if r, ok := values[id]; ok {
			err = s.bucket.Put(ctx, id, r)
		} else if err = s.bucket.Delete(ctx, id); errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		if err != nil {
			s.log.Error("a report cannot be written", "report", id, "err", err)
		}
	}
}
