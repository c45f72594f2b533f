package webrtc

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// sender is one of the goroutines, one per core, that pump viewers. It is woken
// with the shards that have something new.
type sender struct {
	wake chan struct{}

	mu    sync.Mutex
	dirty []*shard
}

// shard is the viewers of one feed on one sender: a list that is replaced, never
// changed, so the sender needs no lock to walk it.
type shard struct {
	sender  *sender
	viewers atomic.Pointer[[]*viewer]
	marked  atomic.Bool
	turns   int // large pictures so far; the sender's goroutine has it
}

func newSender() *sender { return &sender{wake: make(chan struct{}, 1)} }

// mark makes the sender look at the shard. Never blocks.
func (s *shard) mark() {
	if list := s.viewers.Load(); list == nil || len(*list) == 0 || !s.marked.CompareAndSwap(false, true) {
		return
	}
	s.sender.mu.Lock()
	s.sender.dirty = append(s.sender.dirty, s)
	s.sender.mu.Unlock()
	select {
	case s.sender.wake <- struct{}{}:
	default:
	}
}

// size is the number of viewers.
func (s *shard) size() int {
	if list := s.viewers.Load(); list != nil {
		return len(*list)
	}
	return 0
}

// replace stores a changed copy of the list. For one goroutine at a time.
func (s *shard) replace(change func([]*viewer) []*viewer) {
	var list []*viewer
	if old := s.viewers.Load(); old != nil {
		list = slices.Clone(*old)
	}
	list = change(list)
	s.viewers.Store(&list)
}

// run pumps until ctx ends.
func (s *sender) run(ctx context.Context) {
	b := new(batch)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var shards, delayed []*shard
	var work []*viewer
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
		for _, d := range delayed {
			d.mark()
		}
		shards = s.take(shards[:0])
		delayed = delayed[:0]
		next := time.Hour
		for _, d := range shards {
			var wait time.Duration
			work, wait = d.pump(b, work[:0])
			if wait > 0 {
				delayed = append(delayed, d)
				next = min(next, wait)
			}
		}
		timer.Reset(max(next, paceGrain))
	}
}

// take fetches the marked shards and unmarks them.
func (s *sender) take(into []*shard) []*shard {
	s.mu.Lock()
	defer s.mu.Unlock()
	into = append(into, s.dirty...)
	s.dirty = s.dirty[:0]
	for _, d := range into {
		d.marked.Store(false)
	}
	return into
}

// pump gives all viewers turns until none has more to send: a key picture goes
// out in slices over all of them, which is the pacing too. With each such picture
// another viewer comes first, so none is always the last; by the wakes it could be, for
// those come in step with pictures. It returns the scratch and the shortest wait of a
// viewer that is paced, 0 for none.
func (s *shard) pump(b *batch, work []*viewer) ([]*viewer, time.Duration) {
	list := *s.viewers.Load()
	if len(list) == 0 {
		return work, 0
	}
	now := time.Now()
	wait := time.Duration(0)
	one := func(v *viewer) bool {
		more, w := v.pump(b, now)
		if w > 0 && (wait == 0 || w < wait) {
			wait = w
		}
		return more
	}
	for i := range list {
		if v := list[(s.turns+i)%len(list)]; one(v) {
			work = append(work, v)
		}
	}
	if len(work) > 0 {
		s.turns++
	}
	defer clear(work) // keep no viewer alive
	for len(work) > 0 {
		now = time.Now()
		kept := work[:0]
		for _, v := range work {
			if one(v) {
				kept = append(kept, v)
			}
		}
		work = kept
	}
	return work, wait
}
