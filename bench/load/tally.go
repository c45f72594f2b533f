package load

import (
	"context"
	"sync"
	"time"
)

// Reader plays a URL until ctx ends and calls seen with the stamp of each picture
// when the last of it has arrived. A stream that is not live yet is waited for.
// Its error is nil when ctx ended it.
type Reader func(ctx context.Context, url string, seen func(Stamp)) error

// Tally is what one reader saw.
type Tally struct {
	mu       sync.Mutex
	any      chan struct{} // closed at the first picture
	once     sync.Once
	counting bool
	result   Result
	first    uint32
	last     uint32
}

// Result of a Tally.
type Result struct {
	Pictures int
	Lost     int // numbers that are missing between the first and the last
	Ages     []time.Duration
}

// NewTally returns one that does not count yet.
func NewTally() *Tally { return &Tally{any: make(chan struct{})} }

// Seen notes a picture.
func (t *Tally) Seen(s Stamp) {
	now := time.Now()
	t.once.Do(func() { close(t.any) })
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.counting {
		return
	}
	if t.result.Pictures == 0 {
		t.first, t.last = s.Number, s.Number
	}
	t.result.Pictures++
	t.last = max(t.last, s.Number)
	t.result.Ages = append(t.result.Ages, now.Sub(s.Sent))
}

// Begun is closed when there was a first picture.
func (t *Tally) Begun() <-chan struct{} { return t.any }

// Start begins to count.
func (t *Tally) Start() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counting, t.result = true, Result{}
}

// Stop ends counting and returns what there was.
func (t *Tally) Stop() Result {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counting = false
	if t.result.Pictures > 0 {
		t.result.Lost = max(0, int(t.last-t.first)+1-t.result.Pictures)
	}
	return t.result
}

// ended hides the error of a reader that was stopped.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
