package transcode

import (
	"context"
	"io"
	"sync"
	"time"

	"glimpse/internal/media/frame"
)

// hangLag is how far a child's output may be behind its input before it counts
// as waiting: the codecs' own delays are below 100 ms.
const hangLag = 500 * time.Millisecond

// stall notices when a child stops answering. The feeding and the reading
// goroutine share it.
type stall struct {
	slack  time.Duration // that the output may be behind beside hangLag
	mu     sync.Mutex
	in     time.Duration // child's time of the newest frame fed
	out    time.Duration // and of the newest read
	behind time.Time     // since when out is too far behind; zero when it is not
	stuck  time.Time     // since when a write waits; zero when none does
}

// stallWriter is a child's stdin. A pipe holds less than hangLag of most pictures: a
// child that hangs shows in the write that waits, before its output is behind.
type stallWriter struct {
	w io.Writer
	s *stall
}

func (w stallWriter) Write(p []byte) (int, error) {
	w.s.writes(time.Now())
	defer w.s.writes(time.Time{})
	return w.w.Write(p)
}

func (s *stall) writes(since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stuck = since
}

// fed notes that a frame is about to be written. s.mu is held.
func (s *stall) fed(at time.Duration) {
	s.in = at
	if s.out == 0 {
		s.out = at
	}
	if s.in-s.out > hangLag+s.slack && s.behind.IsZero() {
		s.behind = time.Now()
	}
}

// got notes that a frame was read. s.mu is held.
func (s *stall) got(at time.Duration) {
	s.out, s.behind = at, time.Time{}
	if !s.stuck.IsZero() { // it is slow, and no more than that
		s.stuck = time.Now()
	}
}

// soundClock maps a child's time, in which sound has no holes, onto the run's
// timeline.
type soundClock struct {
	stall
	spans []span // by at; the last output lies in the first or second
}

// span says where a stretch of sound without holes stands.
type span struct {
	at    time.Duration // child's time
	frame *frame.Frame  // the source's first in it
}

// feed notes that f is about to be written, at the child's time at.
func (c *soundClock) feed(at time.Duration, f *frame.Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fed(at)
	if n := len(c.spans); n > 0 {
		s := c.spans[n-1]
		expected := s.frame.PTS + at - s.at
		if s.frame.Epoch == f.Epoch && (f.PTS-expected).Abs() <= resyncAfter {
			return
		}
	}
	c.spans = append(c.spans, span{at, f})
}

// place returns a frame with the times of the sound at the child's time at.
func (c *soundClock) place(at time.Duration) *frame.Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got(at)
	for len(c.spans) > 1 && c.spans[1].at <= at {
		c.spans = c.spans[1:]
	}
	if len(c.spans) == 0 { // a child that speaks before it is fed
		return &frame.Frame{PTS: -1}
	}
	s := c.spans[0]
	d := at - s.at
	return &frame.Frame{
		PTS: s.frame.PTS + d, DTS: s.frame.PTS + d, Wall: s.frame.Wall.Add(d), Epoch: s.frame.Epoch,
	}
}

// watch calls hung, once, when the child was behind, or took nothing, for the time
// given.
func (s *stall) watch(ctx context.Context, after time.Duration, hung func()) {
	tick := time.NewTicker(after / 8)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.mu.Lock()
			behind, stuck := s.behind, s.stuck
			s.mu.Unlock()
			for _, since := range [...]time.Time{behind, stuck} {
				if !since.IsZero() && now.Sub(since) > after {
					hung()
					return
				}
			}
		}
	}
}
