package webrtc

import (
	"maps"
	"slices"
	"time"
)

const (
	// feedbackEvery is how often publishers' receivers are asked what is due.
	feedbackEvery = 10 * time.Millisecond
	// While somebody watches, the transport's reader sleeps as long as is not seen, and
	// longer while nobody does: waking up is the larger part of what a packet costs.
	watchedPause, calmPause = 5 * time.Millisecond, 20 * time.Millisecond
)

// turns returns what the transport's reader calls after each time that it read: it sends
// the publishers' feedback, so that nobody wakes up for that, and says how long it may
// sleep.
func (s *Server) turns() func(now time.Time) time.Duration {
	var list []*publisher
	var last time.Time
	calm := time.Duration(0)
	return func(now time.Time) time.Duration {
		if now.Sub(last) < feedbackEvery-time.Millisecond {
			return calm
		}
		last = now
		s.mu.Lock()
		list = slices.AppendSeq(list[:0], maps.Values(s.publishers))
		watched := len(s.sessions) > 0
		s.mu.Unlock()
		defer clear(list) // keep none alive
		for _, p := range list {
			p.turn(now)
			watched = watched || !p.out.Calm()
		}
		switch {
		case len(list) == 0:
			calm = 0
		case watched:
			calm = watchedPause
		default:
			calm = calmPause
		}
		return calm
	}
}

// turn sends the publisher's feedback. A fault of ours ends it, and nobody else.
func (p *publisher) turn(now time.Time) {
	defer func() {
		if fault := recover(); fault != nil {
			p.server.fault(fault)
			p.leave("internal error")
		}
	}()
	if err := p.feedback(now); err != nil {
		p.end(err)
	}
}
