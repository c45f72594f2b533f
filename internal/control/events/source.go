package events

import "time"

// What one wearer may tell in a window of time.
const (
	sourceWindow = 10 * time.Second
	sourceLimit  = 256
)

// Source publishes for one wearer. More than 256 events in 10 s are left out and
// counted: one Suppressed says how many, before the next event of a later window
// or with Flush. It is for one goroutine at a time. Make it with Log.Source.
type Source struct {
	log     *Log
	wearer  string
	since   time.Time // beginning of the window
	told    int       // in it
	dropped uint64
}

// Source returns the way in for a wearer.
func (l *Log) Source(wearer string) *Source { return &Source{log: l, wearer: wearer} }

// Publish appends an event of the wearer's.
func (s *Source) Publish(e Event) {
	if s.log == nil {
		return
	}
	if now := s.log.now(); now.Sub(s.since).Abs() >= sourceWindow { // also when the clock stepped
		s.Flush()
		s.since, s.told = now, 0
	}
	if s.told == sourceLimit {
		s.dropped++
		return
	}
	s.told++
	e.Wearer = s.wearer
	s.log.Publish(e)
}

// Flush tells what was left out, if anything.
func (s *Source) Flush() {
	if s.dropped == 0 {
		return
	}
	s.log.Publish(Event{Type: Suppressed, Wearer: s.wearer, Count: s.dropped})
	s.dropped = 0
}
