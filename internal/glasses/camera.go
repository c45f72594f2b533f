package glasses

import (
	"context"
	"time"

	"glimpse/internal/glasses/source"
	"glimpse/internal/media/frame"
	"glimpse/protocol"
)

// camera delivers a film's access units when they are due. Like a camera it
// never waits for the network: when its user has fallen behind too far, or
// comes back after a break, it goes on with the next key frame that is not
// past, and counts the pictures in between. It is for one goroutine.
type camera struct {
	player  *source.Player
	late    time.Duration
	start   time.Time // of the timeline; zero before the first frame
	skip    bool      // until the next key frame that is not past
	dropped int       // pictures that nobody got
}

// next waits for the next access unit.
func (c *camera) next(ctx context.Context) (*frame.Frame, error) {
	for ctx.Err() == nil {
		f, err := c.player.Next()
		if err != nil {
			return nil, err
		}
		if c.start.IsZero() {
			c.start = time.Now().Add(-f.DTS)
		}
		wait := time.Until(c.start.Add(f.DTS))
		if wait < -c.late {
			c.skip = true
		}
		if c.skip && (!f.Key || wait < 0) {
			if f.IsVideo() {
				c.dropped++
			}
			continue
		}
		c.skip = false
		if wait <= 0 {
			return f, nil
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
			return f, nil
		case <-ctx.Done():
			t.Stop()
		}
	}
	return nil, context.Cause(ctx)
}

// meter measures what was really written.
type meter struct {
	began    time.Time // of the stream: its first key frame was written
	window   time.Time // of the figures below
	bytes    int
	pictures int
}

func (m *meter) start(now time.Time) {
	if m.began.IsZero() {
		m.began = now
	}
	m.window, m.bytes, m.pictures = now, 0, 0
}

func (m *meter) wrote(f *frame.Frame) {
	m.bytes += len(f.Payload)
	if f.IsVideo() {
		m.pictures++
	}
}

// take returns the statistics since the last time and begins a new window:
// bit/s and pictures a second in the window, drops and seconds since the start.
func (m *meter) take(now time.Time, dropped int) *protocol.Stats {
	s := &protocol.Stats{DroppedFrames: float64(dropped), Duration: tenths(now.Sub(m.began).Seconds())}
	if w := now.Sub(m.window).Seconds(); w > 0 {
		s.Bitrate = float64(int(float64(m.bytes) * 8 / w))
		s.FPS = tenths(float64(m.pictures) / w)
	}
	m.start(now)
	return s
}

func tenths(v float64) float64 { return float64(int(v*10+0.5)) / 10 }
