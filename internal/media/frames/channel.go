package frames

import (
	"encoding/json"
	"sync"
	"time"

	"glimpse/internal/media/hub"
	"glimpse/protocol"
)

// channel is all that one stream has of pictures and results.
type channel struct {
	service *Service
	stream  *hub.Stream

	mu      sync.Mutex
	taps    map[int]*tap // by the width that was asked for
	epochs  epochs
	bus     bus
	posters map[string]*poster // by app
	results uint64
	told    struct {
		epoch *epoch
		state protocol.State
	}
}

func newChannel(s *Service, stream *hub.Stream) *channel {
	return &channel{
		service: s, stream: stream, taps: map[int]*tap{}, posters: map[string]*poster{},
		epochs: epochs{next: func() uint32 { return s.epochs.Add(1) }}, bus: bus{readers: map[*Reader]struct{}{}},
	}
}

// now returns the epoch of the newest picture, nil before the first. c.mu is held.
func (c *channel) now() *epoch {
	if run := c.stream.Run(); run != nil {
		if key := run.KeyFrame(); key != nil && !key.Hold {
			return c.epochs.of(run, key)
		}
	}
	return c.epochs.get(0)
}

// announce tells readers of an epoch, once. c.mu is held.
func (c *channel) announce(e *epoch, now time.Time) {
	if e == nil || c.told.epoch != nil && e.number <= c.told.epoch.number {
		return
	}
	c.told.epoch = e
	c.bus.publish(c.hello(e), now)
	c.bus.hello = c.bus.base + uint64(len(c.bus.ring))
}

// hello describes an epoch, nil before the first.
func (c *channel) hello(e *epoch) *protocol.FramesHello {
	h := &protocol.FramesHello{Type: protocol.TypeHello, Stream: c.stream.PlaybackID()}
	if e != nil {
		h.Epoch, h.RTPBase, h.SourceWidth, h.SourceHeight = e.number, e.run.RTPBase(), e.width, e.height
	}
	return h
}

// state is how the stream itself is doing.
func (c *channel) state() protocol.State {
	switch s := judge(facts{stream: c.stream.State(), pictured: true}); s.state {
	case protocol.StateNoVideo:
		return protocol.State{Type: protocol.TypeState, State: s.state, Reason: s.reason}
	default:
		return protocol.State{Type: protocol.TypeState, State: protocol.StateRunning}
	}
}

// Read follows a stream's results from about now on: the last 3 s of them come at
// once. Close the Reader. Errors: ErrCrowded, ErrClosed.
func (s *Service) Read(stream *hub.Stream) (*Reader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if s.readers >= s.cfg.MaxReaders {
		return nil, ErrCrowded
	}
	c := s.channelOf(stream)
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.look(now)
	c.bus.trim(now)
	r := &Reader{channel: c, wake: make(chan struct{}, 1), next: max(c.bus.base, c.bus.hello)}
	first := []any{c.hello(c.told.epoch), c.told.state}
	for _, p := range c.posters {
		if p.state != nil {
			first = append(first, *p.state)
		}
	}
	for _, v := range first {
		if b, err := json.Marshal(v); err == nil {
			r.begin = append(r.begin, b)
		}
	}
	c.bus.readers[r] = struct{}{}
	s.readers++
	return r, nil
}

// look tells readers what has changed of the stream itself. c.mu is held.
func (c *channel) look(now time.Time) {
	c.announce(c.now(), now)
	if st := c.state(); !same(st, c.told.state) {
		c.told.state = st
		c.bus.publish(st, now)
	}
}

// sweep stops taps that nobody has wanted for the linger time, tells readers what
// is new, and reports how many taps it stopped and whether nobody is left in the
// channel. Service.mu is held.
func (c *channel) sweep(now time.Time, linger time.Duration) (stopped int, empty bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for width, t := range c.taps {
		if len(t.subs) == 0 && now.Sub(t.idle) >= linger {
			t.cancel()
			delete(c.taps, width)
			stopped++
		}
	}
	c.forget(now)
	c.bus.trim(now)
	select {
	case <-c.stream.Done():
		c.endReaders()
	default:
		if len(c.bus.readers) > 0 {
			c.look(now)
		}
	}
	return stopped, len(c.taps) == 0 && len(c.bus.readers) == 0 && len(c.posters) == 0
}

// end tells every subscriber and reader that it is over.
func (c *channel) end(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.taps {
		t.end(reason)
	}
	c.endReaders()
}

// endReaders ends the readers after what they have still to read. c.mu is held.
func (c *channel) endReaders() {
	for r := range c.bus.readers {
		r.over = true
		r.signal()
	}
}

// limited counts taps that decode key frames only.
func (c *channel) limited() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, t := range c.taps {
		if t.keysOnly {
			n++
		}
	}
	return n
}
