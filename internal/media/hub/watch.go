package hub

import "time"

// watch is the stream's one goroutine: it delivers events in order and acts
// when a time is over. It ends with the stream.
func (s *Stream) watch() {
	defer s.wg.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-s.wake:
		case <-timer.C:
		}
		s.mu.Lock()
		next := s.expire(time.Now())
		events := s.events
		s.events = nil
		ended := s.state == StateEnded
		s.mu.Unlock()
		if s.spec.Notify != nil {
			for _, e := range events {
				s.spec.Notify(e)
			}
		}
		if ended {
			s.hub.forget(s)
			return
		}
		timer.Reset(next)
	}
}

// expire acts on what is due and returns how long to wait for the next.
func (s *Stream) expire(now time.Time) time.Duration {
	cfg, next := &s.hub.cfg, time.Hour
	due := func(at time.Time) bool {
		if d := at.Sub(now); d > 0 {
			next = min(next, d)
			return false
		}
		return true
	}
	if s.source != nil && due(s.lastByte.Add(cfg.SilentAfter)) {
		s.silenced = s.source
		s.interrupt("no media for "+cfg.SilentAfter.String(), now)
	}
	if s.source != nil {
		for _, p := range s.publishers { // newcomers that bring no key frame
			if !p.active && p.Err() == nil && due(p.since.Add(cfg.PendingMax)) {
				p.stop(ErrNoKeyFrame)
			}
		}
	}
	if s.state == StateInterrupted && due(s.lostAt.Add(s.spec.ResumeWindow)) {
		s.windowOver(now)
	}
	if s.state == StateInterrupted {
		due(s.run.start.Add(s.fill(now.Sub(s.run.start))))
	}
	return next
}

// windowOver ends what waited for its publisher: the stream, or a standing
// stream's run.
func (s *Stream) windowOver(now time.Time) {
	const reason = "the publisher did not come back in time"
	if !s.spec.Standing {
		s.finish(reason, now)
		return
	}
	s.stopRun()
	s.emit(EventIdle, reason, now)
	s.state, s.run = StateIdle, nil
}
