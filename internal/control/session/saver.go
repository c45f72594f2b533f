package session

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"glimpse/internal/control/events"
	"glimpse/internal/control/store"
)

const (
	storeTimeout = 2 * time.Second // of one write; two of them fit into what is left of a drain
	storePause   = time.Second     // after a failed one
)

// saver writes records behind the sessions: in the order in which users first
// changed, the newest record of each, one at a time. What cannot be written is
// tried again until it can, or until something newer takes its place.
type saver struct {
	store Store
	news  *events.Log
	log   *slog.Logger

	mu      sync.Mutex
	pending map[string]*Record // nil means delete
	order   []string
	wake    chan struct{} // capacity 1

	failing bool // the last write; the writing goroutine's
}

func newSaver(to Store, news *events.Log, log *slog.Logger) *saver {
	return &saver{store: to, news: news, log: log, pending: make(map[string]*Record), wake: make(chan struct{}, 1)}
}

// put hands over a record, which must not change afterwards. It never waits.
func (w *saver) put(user string, record *Record) {
	w.mu.Lock()
	w.queue(user, record)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// queue notes what is to be written; the caller holds mu.
func (w *saver) queue(user string, record *Record) {
	if _, waits := w.pending[user]; !waits {
		w.order = append(w.order, user)
	}
	w.pending[user] = record
}

// run writes until ctx ends, and then what is left unless two writes fail.
func (w *saver) run(ctx context.Context) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-w.wake:
		case <-pause.C:
		case <-ctx.Done():
			if left := w.flush(); left {
				w.flush()
			}
			return
		}
		if left := w.flush(); left {
			pause.Reset(storePause)
		}
	}
}

// flush writes what waits; left says that some of it still does. A store that
// fails is not asked for each of many users.
func (w *saver) flush() (left bool) {
	for {
		w.mu.Lock()
		if len(w.order) == 0 {
			w.mu.Unlock()
			return false
		}
		user := w.order[0]
		w.order = w.order[1:]
		record := w.pending[user]
		delete(w.pending, user)
		w.mu.Unlock()
		err := w.write(user, record)
		if err == nil {
			w.failing = false
			continue
		}
		w.fails(user, err)
		w.mu.Lock()
		if _, newer := w.pending[user]; !newer {
			w.queue(user, record)
		}
		w.mu.Unlock()
		return true
	}
}

// fails tells of the first failure in a row.
func (w *saver) fails(user string, err error) {
	if w.failing {
		return
	}
	w.failing = true
	w.log.Error("sessions cannot be stored, a restart would lose them", "user", user, "error", err)
	w.news.Publish(events.Event{Type: events.StoreFailing, Message: "Sessions cannot be written to the store; a restart would lose them"})
}

func (w *saver) write(user string, record *Record) error {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	if record != nil {
		return w.store.Put(ctx, user, *record)
	}
	if err := w.store.Delete(ctx, user); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return nil
}
