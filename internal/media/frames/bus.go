package frames

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// What a channel keeps for newcomers and slow readers.
const (
	busKeeps    = 3 * time.Second
	busMessages = 256
	busBytes    = 2 << 20
)

// bus is a ring of messages, each one made once for all readers. Guarded by
// channel.mu.
type bus struct {
	ring    []message
	base    uint64 // number of ring[0]
	bytes   int
	hello   uint64 // number after the newest hello
	readers map[*Reader]struct{}
}

type message struct {
	body []byte // JSON without its last brace
	at   time.Time
}

// publish adds a message and wakes the readers.
func (b *bus) publish(v any, now time.Time) {
	body, err := json.Marshal(v)
	if err != nil { // checked messages can
		return
	}
	b.ring = append(b.ring, message{body[:len(body)-1], now})
	b.bytes += len(body)
	b.trim(now)
	for r := range b.readers {
		r.signal()
	}
}

// trim drops what is too old or too much.
func (b *bus) trim(now time.Time) {
	n := 0
	for n < len(b.ring) && (now.Sub(b.ring[n].at) > busKeeps || len(b.ring)-n > busMessages || b.bytes > busBytes) {
		b.bytes -= len(b.ring[n].body) + 1
		n++
	}
	if n > 0 {
		b.base += uint64(n)
		b.ring = slices.Delete(b.ring, 0, n)
	}
}

// Reader is a position in a stream's results, for one goroutine.
type Reader struct {
	channel *channel
	wake    chan struct{}

	// Guarded by channel.mu.
	begin   [][]byte // what a newcomer is told first
	next    uint64
	dropped uint64
	over    bool
}

func (r *Reader) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Next waits for messages and returns them as JSON. Errors: ErrOver after the
// last, ctx.Err().
func (r *Reader) Next(ctx context.Context) ([][]byte, error) {
	for {
		list, over := r.take()
		if len(list) > 0 {
			return list, nil
		}
		if over {
			return nil, ErrOver
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take returns what is there.
func (r *Reader) take() (list [][]byte, over bool) {
	c := r.channel
	c.mu.Lock()
	defer c.mu.Unlock()
	list, r.begin = r.begin, nil
	b := &c.bus
	if r.next < b.base { // it was too slow for the ring
		lost := b.base - r.next
		r.next, r.dropped = b.base, r.dropped+lost
		c.service.counts.resultsLost.Add(lost)
	}
	for _, m := range b.ring[r.next-b.base:] {
		body := append(make([]byte, 0, len(m.body)+32), m.body...)
		if r.dropped > 0 {
			body = append(body, `,"dropped":`...)
			body = strconv.AppendUint(body, r.dropped, 10)
			r.dropped = 0
		}
		list = append(list, append(body, '}'))
	}
	r.next = b.base + uint64(len(b.ring))
	return list, r.over
}

// Close ends the reader. It is idempotent.
func (r *Reader) Close() {
	s := r.channel.service
	s.mu.Lock()
	defer s.mu.Unlock()
	r.channel.mu.Lock()
	defer r.channel.mu.Unlock()
	if _, here := r.channel.bus.readers[r]; here {
		delete(r.channel.bus.readers, r)
		s.readers--
	}
}
