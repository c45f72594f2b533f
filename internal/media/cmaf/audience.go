package cmaf

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"glimpse/internal/media/hub"
)

const (
	// soundLag is how far the sound stays behind the pictures while it would have
	// to be converted and nobody plays it: the first viewer finds so much of the
	// past with sound.
	soundLag = hub.SoundPast
	// catchUp is how long that viewer waits for it before silence stands there.
	catchUp = 1500 * time.Millisecond
	// caughtUp is how far converted sound may be behind the pictures.
	caughtUp = 250 * time.Millisecond
	// unwatched is after how long without a request nobody plays a store.
	unwatched = 15 * time.Second
	// patience is how many frames, by their time, are packaged together while
	// nobody plays the store.
	patience = 500 * time.Millisecond
	// freshTime is how long the first viewer waits at most until they are.
	freshTime = 100 * time.Millisecond
)

// audience is who plays a store, for the sake of sound that is converted only
// while somebody listens, and of parts that need not be closed at once otherwise.
type audience struct {
	need      func() (release func()) // has the sound converted; nil: it never is
	converted func() bool             // whether the source's sound has to be, and can be
	latent    atomic.Bool             // it said so last
	asked     atomic.Int64            // time of the newest request, Unix nanoseconds

	mu      sync.Mutex
	release func()        // nil while nobody plays
	since   time.Time     // the first viewer's request
	caught  chan struct{} // closed when the sound has caught up for it, and is in the store
	reached bool          // it has caught up
	reader  *hub.Reader   // of the run; patient while nobody plays
	fresh   chan struct{} // closed when what waited is packaged; nil when nothing did
	recall
}

// follow says where the store's frames come from; nil: from nowhere any more.
func (a *audience) follow(rd *hub.Reader) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reader = rd
	if a.release == nil && a.need != nil {
		a.wait(patience)
	}
}

// look asks whether the source's sound has to be converted: that changes with the
// source, and the first picture comes before it is known.
func (a *audience) look() {
	if a.converted != nil {
		a.latent.Store(a.converted())
	}
}

// wait is how long the reader may. It reports whether frames wait. mu is held.
func (a *audience) wait(d time.Duration) bool {
	return a.reader != nil && a.reader.SetPatience(d)
}

// packaged says that what the reader gave is in the store.
func (a *audience) packaged() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.placed()
	if a.fresh != nil {
		close(a.fresh)
		a.fresh = nil
	}
	if a.release != nil && a.reached {
		select {
		case <-a.caught:
		default:
			close(a.caught)
		}
	}
}

// Expect says that somebody is about to read the store, which has its sound
// converted from now on if it must be. It does not wait for that (see Watch), but at
// most 100 ms for what came while nobody played it.
func (s *Store) Expect() { s.expect() }

// expect returns what is closed when the sound has caught up for the first
// viewer; nil when it need not.
func (s *Store) expect() <-chan struct{} {
	a := &s.audience
	if a.need == nil {
		return nil
	}
	now := time.Now()
	a.asked.Store(now.UnixNano())
	a.mu.Lock()
	if a.release == nil {
		a.look()
		a.release, a.since, a.caught = a.need(), now, make(chan struct{})
		a.reached = false
		if a.wait(0) {
			a.fresh = make(chan struct{})
		}
	}
	caught, fresh := a.caught, a.fresh
	a.mu.Unlock()
	if fresh != nil {
		late := time.NewTimer(freshTime)
		defer late.Stop()
		select {
		case <-fresh:
		case <-late.C:
		case <-s.done:
		}
	}
	if !a.latent.Load() {
		return nil
	}
	return caught
}

// Watch is Expect for who reads the sound, or a list of all: while the sound of a
// stream has to be converted, the first viewer is held until it is there, at most
// 1.5 s or until ctx or the run ends.
func (s *Store) Watch(ctx context.Context) {
	caught := s.expect()
	if caught == nil {
		return
	}
	select {
	case <-caught:
	case <-ctx.Done():
	case <-s.done:
	}
}

// lag is how far silence must stay behind the pictures. missing is how much
// sound there is not yet.
func (a *audience) lag(now time.Time, missing time.Duration) time.Duration {
	latent := a.latent.Load()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.release == nil {
		if latent {
			return soundLag
		}
		return 0
	}
	if !a.reached && latent && missing > caughtUp && now.Sub(a.since) < catchUp {
		return soundLag
	}
	a.reached = true
	return 0
}

// rest lets the conversion go when nobody has asked for long.
func (a *audience) rest(now time.Time) {
	if now.Sub(time.Unix(0, a.asked.Load())) < unwatched {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.release != nil {
		a.release()
		a.release = nil
		a.wait(patience)
	}
}
