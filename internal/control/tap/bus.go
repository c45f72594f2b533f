// Package tap lets an operator watch a wearer's websockets: each message of the
// wearer's apps and glasses, both ways, as it passes, with secrets cut.
//
// The edge reports to a Bus, which costs one atomic load while nobody taps. A
// Tap is one watcher of one user. Its queue holds the frames as they passed,
// bounded in number and bytes; they are redacted when they are taken out, in the
// watcher's goroutine, so that watching slows nobody down. What finds no room is
// counted, never waited for. The package starts no goroutine. The Bus's lock and
// a Tap's are taken in this order; nothing else is called under them.
package tap

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of tapping.
const (
	MaxTaps = 16 // watchers of one server

	maxQueue = 1024    // events that wait for one watcher,
	maxBytes = 4 << 20 // and bytes of their frames
	maxBatch = 64      // events that one call of Next returns
)

// ErrFull says that MaxTaps watch already.
var ErrFull = errors.New("too many taps")

// Who sends and receives.
const (
	App     = "app"
	Glasses = "glasses"
	Cloud   = "cloud"
)

// Kind is what an event tells.
type Kind string

// The kinds of events.
const (
	Message Kind = "message" // a frame passed
	Connect Kind = "connect" // a socket was opened and proved who it is
	Close   Kind = "close"   // it ended; From is who ended it
	Refused Kind = "refused" // it was not let in; Reason says why
	Lost    Kind = "lost"    // Lost events are missing here: the watcher was too slow
)

// Event is one thing that happened on a wearer's sockets, without secrets.
type Event struct {
	Time    time.Time       `json:"time"`
	Kind    Kind            `json:"kind"`
	From    string          `json:"from,omitempty"`
	To      string          `json:"to,omitempty"`
	Package string          `json:"package,omitempty"` // of the app, "" for glasses
	Type    string          `json:"type,omitempty"`    // of the message; "(binary)" and "(unreadable)" have no body
	Code    int             `json:"code,omitempty"`    // of a close; 1006 when the connection broke
	Reason  string          `json:"reason,omitempty"`  // of a close or refusal
	Size    int             `json:"size,omitempty"`    // of the frame as it passed, in bytes
	Body    json.RawMessage `json:"body,omitempty"`    // of the message, redacted and bounded; see Redact
	Lost    uint64          `json:"lost,omitempty"`
}

// Bus takes reports and hands them to the watchers. A nil Bus has none. All
// methods are safe for concurrent use. Make it with New.
type Bus struct {
	watched atomic.Int32 // number of taps

	mu     sync.Mutex
	taps   map[string][]*Tap // by user
	closed bool
}

// New returns a bus without watchers.
func New() *Bus { return &Bus{taps: make(map[string][]*Tap)} }

// Active says whether anybody watches anybody. Ask before making a report.
func (b *Bus) Active() bool { return b != nil && b.watched.Load() > 0 }

// Report hands an event to the watchers of user. It never waits. frame is the
// message as it passed, nil for none or when it is binary; it is kept and must
// not change afterwards. Time is set here.
func (b *Bus) Report(user string, e Event, frame []byte) {
	if !b.Active() {
		return
	}
	e.Time = time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.taps[user] {
		t.put(report{e, frame})
	}
}

// Watch begins to watch a user, who need not be here yet. Close the tap in the
// end. ErrFull is for when enough others watch, io.EOF for a closed bus.
func (b *Bus) Watch(user string) (*Tap, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, io.EOF
	}
	if b.watched.Load() >= MaxTaps {
		return nil, ErrFull
	}
	t := &Tap{bus: b, user: user, wake: make(chan struct{}, 1)}
	b.taps[user] = append(b.taps[user], t)
	b.watched.Add(1)
	return t, nil
}

// Close ends every tap: what waits is still handed out, then comes io.EOF.
// Idempotent.
func (b *Bus) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for user, list := range b.taps {
		for _, t := range list {
			t.end()
		}
		delete(b.taps, user)
	}
	b.watched.Store(0)
}

// remove takes a tap off the bus.
func (b *Bus) remove(t *Tap) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.taps[t.user]
	for i, other := range list {
		if other != t {
			continue
		}
		b.watched.Add(-1)
		if b.taps[t.user] = append(list[:i:i], list[i+1:]...); len(list) == 1 {
			delete(b.taps, t.user)
		}
	}
}

// report is an event with its frame, before it is redacted.
type report struct {
	event Event
	frame []byte
}

// Tap is one watcher of one user. Next is for one goroutine.
type Tap struct {
	bus  *Bus
	user string

	mu    sync.Mutex
	queue []report
	bytes int
	lost  uint64 // since the queue was full; nothing is queued until it is empty again
	ended bool
	wake  chan struct{} // capacity 1
}

func (t *Tap) put(r report) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lost > 0 || len(t.queue) >= maxQueue || t.bytes+len(r.frame) > maxBytes {
		t.lost++ // the queue is not empty, so its reader has been woken
		return
	}
	t.queue, t.bytes = append(t.queue, r), t.bytes+len(r.frame)
	t.signal()
}

func (t *Tap) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	t.signal()
}

// signal wakes Next; the caller holds mu.
func (t *Tap) signal() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// Next waits for events and returns some, redacted, in the order in which they
// happened. io.EOF says that the bus is closed; ctx.Err() that ctx ended.
func (t *Tap) Next(ctx context.Context) ([]Event, error) {
	for {
		batch, lost, ended := t.take()
		if len(batch) > 0 || lost > 0 {
			return redacted(batch, lost), nil
		}
		if ended {
			return nil, io.EOF
		}
		select {
		case <-t.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (t *Tap) take() (batch []report, lost uint64, ended bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := min(len(t.queue), maxBatch)
	batch = append(batch, t.queue[:n]...)
	for _, r := range batch {
		t.bytes -= len(r.frame)
	}
	clear(t.queue[:n])
	if t.queue = t.queue[n:]; len(t.queue) == 0 {
		t.queue = nil
		lost, t.lost = t.lost, 0
	}
	return batch, lost, t.ended
}

// redacted makes events fit to be shown.
func redacted(batch []report, lost uint64) []Event {
	events := make([]Event, 0, len(batch)+1)
	for _, r := range batch {
		e := r.event
		e.Reason = Text(e.Reason)
		if e.Package != "" {
			e.Package = Text(e.Package)
		}
		if r.frame != nil {
			e.Size = len(r.frame)
			e.Type, e.Body = Redact(r.frame)
		}
		events = append(events, e)
	}
	if lost > 0 {
		events = append(events, Event{Time: time.Now(), Kind: Lost, Lost: lost})
	}
	return events
}

// Close ends the tap. Idempotent.
func (t *Tap) Close() { t.bus.remove(t) }
