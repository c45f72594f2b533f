package frames

import (
	"sync"
	"time"

	"glimpse/internal/media/hub"
)

// channel is all that one stream has of pictures and results.
type channel struct {
	service *Service
	stream  *hub.Stream

	mu     sync.Mutex
	taps   map[int]*tap // by the width that was asked for
	epochs epochs
}

func newChannel(s *Service, stream *hub.Stream) *channel {
	return &channel{
		service: s, stream: stream, taps: map[int]*tap{},
		epochs: epochs{next: func() uint32 { return s.epochs.Add(1) }},
	}
}

// now returns the epoch of the newest picture, nil before the first. c.mu is held.
func (c *channel) now() *epoch {
	if run := c.stream.Run(); run != nil {
		if key := run.KeyFrame(); key != nil {
			return c.epochs.of(run, key)
		}
	}
	return c.epochs.get(0)
}

// sweep stops taps that nobody has wanted for the linger time, and reports how
// many and whether nobody is left in the channel. Service.mu is held.
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
	return stopped, len(c.taps) == 0
}

// end tells every subscriber that it is over.
func (c *channel) end(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.taps {
		t.end(reason)
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
