package camera

import (
	"slices"
	"time"

	"glimpse/protocol"
)

// earliest returns the earlier of two moments; a zero one does not count.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// after returns t+d, or zero for a zero t.
func after(t time.Time, d time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(d)
}

func dueStop(s *State) time.Time {
	var due time.Time
	for i := range s.Stream.Holds {
		due = earliest(due, s.Stream.Holds[i].StopAt)
	}
	return due
}

func (m *machine) onStop() {
	m.endDue(func(h *Hold) time.Time { return h.StopAt }, ending{status: protocol.StatusStopped, text: textStopped})
}

func dueDeadline(s *State) time.Time {
	var due time.Time
	for i := range s.Stream.Holds {
		due = earliest(due, s.Stream.Holds[i].Deadline)
	}
	return due
}

// onDeadline ends requests that had no media in time, before the SDK gives up.
func (m *machine) onDeadline() {
	text := protocol.TextStartTimeout
	if r := m.Stream.Reason; r != "" {
		text += " (" + r + ")"
	}
	m.endDue(func(h *Hold) time.Time { return h.Deadline }, ending{protocol.StatusError, protocol.CodeTimeout, text})
}

// endDue ends the holds whose moment has come, in order of arrival.
func (m *machine) endDue(when func(*Hold) time.Time, end ending) {
	for _, h := range slices.Clone(m.Stream.Holds) {
		if t := when(&h); !t.IsZero() && !m.now.Before(t) {
			m.endHold(h.App, end)
		}
	}
}

func dueLimit(s *State) time.Time {
	if s.Stream.Limit == 0 {
		return time.Time{}
	}
	return after(s.Stream.FirstLive, s.Stream.Limit)
}

func limitReached() ending {
	return ending{status: protocol.StatusStopped, text: "Duration limit reached"}
}

func (m *machine) onLimit() { m.endAll(limitReached()) }

// limitNear says whether the glasses, which count durationLimit from their own
// start, may have reached it.
func (s *Stream) limitNear(now time.Time) bool {
	if s.Limit == 0 || s.FirstLive.IsZero() {
		return false
	}
	return now.After(s.FirstLive.Add(s.Limit - min(5*time.Second, s.Limit/2)))
}

func dueNoViewer(s *State) time.Time { return after(s.Stream.Unwatched, s.Times.NoViewer) }

func (m *machine) onNoViewer() {
	m.endAll(ending{status: protocol.StatusStopped, text: "Nobody has watched for " + m.Times.NoViewer.String()})
}

func dueGlassesLost(s *State) time.Time { return after(s.GlassesLost, s.Times.GlassesGrace) }

func (m *machine) onGlassesLost() {
	m.endAll(ending{protocol.StatusError, protocol.CodeNetwork, protocol.TextGlassesNetwork})
}

func dueDisconnected(s *State) time.Time {
	if s.Stream.Kind != Direct {
		return time.Time{}
	}
	return after(s.Stream.Lost, s.Times.GlassesGrace)
}

func (m *machine) onDisconnected() {
	m.endAll(ending{protocol.StatusError, m.Stream.Code, m.Stream.Reason})
}

// dueWindow is when an interrupted stream is given up: never before the phone,
// if it is away, has had its grace.
func dueWindow(s *State) time.Time {
	if !s.Stream.Interrupted() {
		return time.Time{}
	}
	due := after(s.Stream.Lost, s.Times.ResumeWindow)
	if phone := after(s.PhoneLost, s.Times.PhoneGrace); phone.After(due) {
		return phone
	}
	return due
}

func (m *machine) onWindow() {
	code, text := m.Stream.Code, m.Stream.Reason
	if text == "" {
		code, text = protocol.CodeNetwork, textSilent
	}
	m.endAll(ending{protocol.StatusError, code, text})
}

// dueTell is when an interruption has lasted long enough to be told.
func dueTell(s *State) time.Time {
	if s.Stream.Told || !s.Stream.Interrupted() {
		return time.Time{}
	}
	return after(s.Stream.Lost, s.Times.TellAfter)
}

func (m *machine) onTell() {
	m.Stream.Told = true
	for i := range m.Stream.Holds {
		if h := &m.Stream.Holds[i]; h.Status != protocol.StatusPreparing {
			m.tellManaged(h)
		}
	}
}
