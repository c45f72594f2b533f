package events

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of a Log.
const (
	DefaultSize      = 4096 // events that are kept
	MaxSubscriptions = 64   // followers of one server

	maxBatch = 64 // events that one call of Next returns
)

// ErrFull says that MaxSubscriptions follow already.
var ErrFull = errors.New("too many subscriptions")

// Log keeps the newest events. A nil Log takes events and forgets them. All
// methods are safe for concurrent use. Make it with New.
type Log struct {
	now  func() time.Time
	size int

	mu        sync.Mutex
	ring      []Event // event number n is at n % size
	next      uint64  // number of the next event
	floor     int64   // id of the newest event that is not kept, or of what came before this process
	last      int64   // id of the newest event
	followers int
	lost      uint64        // events that followers were too slow for
	changed   chan struct{} // closed with the next event, and at the end
	closed    bool
}

// New returns an empty log that keeps size events. now is the wall clock.
func New(size int, now func() time.Time) *Log {
	start := now().UnixMicro()
	return &Log{now: now, size: size, floor: start, last: start, changed: make(chan struct{})}
}

// Publish appends an event; ID and Time are set here. It never waits for a
// follower. After Close it does nothing.
func (l *Log) Publish(e Event) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	e.Time = l.now().UTC()
	e.ID = max(l.last+1, e.Time.UnixMicro()) // the clock may stand still or step back
	l.last = e.ID
	if len(l.ring) < l.size {
		l.ring = append(l.ring, e)
	} else {
		at := l.next % uint64(l.size)
		l.floor = l.ring[at].ID
		l.ring[at] = e
	}
	l.next++
	l.wake()
}

// wake tells everybody who waits; the caller holds mu.
func (l *Log) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// Close ends every subscription: what is left is still handed out, then comes
// io.EOF. Idempotent.
func (l *Log) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		l.wake()
	}
}

// Stats counts since the start.
type Stats struct {
	Published uint64
	Lost      uint64 // that followers were too slow for, over all of them
	Followers int    // now
}

// Stats returns the counters of now.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{Published: l.next, Lost: l.lost, Followers: l.followers}
}

// Filter selects events; empty fields select all. A gap is never left out.
type Filter struct {
	Types  []string // "stream.live", or "stream.*" for all that begin so
	Wearer string
	Stream string
}

func (f *Filter) takes(e *Event) bool {
	if f.Wearer != "" && f.Wearer != e.Wearer || f.Stream != "" && f.Stream != e.Stream {
		return false
	}
	return len(f.Types) == 0 || slices.ContainsFunc(f.Types, func(want string) bool { return matches(want, e.Type) })
}

func matches(want string, typ Type) bool {
	if group, all := strings.CutSuffix(want, "*"); all {
		return strings.HasPrefix(string(typ), group)
	}
	return want == string(typ)
}

// Known says whether a word of Filter.Types can select anything.
func Known(want string) bool {
	return want != "" && slices.ContainsFunc(Types(), func(typ Type) bool { return matches(want, typ) })
}

// Subscription is one follower. Its methods are for one goroutine.
type Subscription struct {
	log    *Log
	filter Filter
	next   uint64 // number of the next event to look at
	cursor int64  // id of the last event that was looked at
	gap    bool   // something is missing before next, nobody knows how much
	closed bool
}

// Subscribe begins to follow. after is the id of the last event that the
// follower has seen, 0 for everything that is kept, negative for what happens
// from now on. An id that is no longer kept, and one from the future, yields a
// Gap and then everything that is kept. Close the subscription in the end.
// ErrFull is for when enough others follow, io.EOF for a closed log.
func (l *Log) Subscribe(f Filter, after int64) (*Subscription, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, io.EOF
	case l.followers == MaxSubscriptions:
		return nil, ErrFull
	}
	l.followers++
	s := &Subscription{log: l, filter: f, next: l.next, cursor: l.last}
	if after < 0 || after == l.last {
		return s, nil
	}
	s.next = l.next - uint64(len(l.ring))
	if after < l.floor || after > l.last {
		s.gap, s.cursor = true, l.floor
		return s, nil
	}
	for s.next < l.next && l.at(s.next).ID <= after {
		s.next++
	}
	s.cursor = after
	return s, nil
}

// at returns the event of a number that is kept.
func (l *Log) at(number uint64) *Event { return &l.ring[number%uint64(l.size)] }

// Cursor is the id with which a follower who has taken all that Next returned
// goes on later.
func (s *Subscription) Cursor() int64 { return s.cursor }

// Next waits for events that the filter takes and returns some, in order.
// io.EOF says that the log is closed, ctx.Err() that ctx ended.
func (s *Subscription) Next(ctx context.Context) ([]Event, error) {
	for {
		batch, changed, closed := s.take()
		switch {
		case len(batch) > 0:
			return batch, nil
		case closed:
			return nil, io.EOF
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *Subscription) take() (batch []Event, changed <-chan struct{}, closed bool) {
	l := s.log
	l.mu.Lock()
	defer l.mu.Unlock()
	var missed uint64
	if oldest := l.next - uint64(len(l.ring)); s.next < oldest {
		missed = oldest - s.next
		l.lost += missed
		s.next, s.cursor = oldest, l.floor
	}
	if s.gap || missed > 0 {
		s.gap = false
		batch = append(batch, Event{ID: s.cursor, Time: l.now().UTC(), Type: Gap, Count: missed, Message: textGap})
	}
	for ; s.next < l.next && len(batch) < maxBatch; s.next++ {
		e := l.at(s.next)
		s.cursor = e.ID
		if s.filter.takes(e) {
			batch = append(batch, *e)
		}
	}
	return batch, l.changed, l.closed
}

const textGap = "Events are missing before this one: read what you follow anew."

// Close ends the subscription. Idempotent.
func (s *Subscription) Close() {
	if s.closed {
		return
	}
	s.closed = true
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.log.followers--
}
