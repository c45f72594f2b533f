package camera

import (
	"slices"
	"time"
)

// Restore makes a state that was read from JSON work again after a restart of
// the process: no phone is there yet, every app is away, what was live is
// interrupted from now on. The time of a start that is under way runs on, since
// the app's SDK counts as well, a stop that waited is done, and the end of a hold
// still waits for an app that was away. Keep-alives begin without misses when the glasses are back; glasses
// that have forgotten the stream are found out by them, by its silence, or by
// another stream that they run: what was written may be older than what they
// were told last.
func Restore(s State, t Times, now time.Time) State {
	s = s.clone()
	s.Times, s.Device, s.GlassesLost = t, Device{}, time.Time{}
	s.PhoneLost = now
	s.Away = slices.DeleteFunc(s.Away, func(a Absent) bool { return a.Last == nil })
	for i := range s.Past {
		s.Past[i].At = notAfter(s.Past[i].At, now)
	}
	st := s.Stream
	if st == nil {
		return s
	}
	st.Created, st.FirstLive = notAfter(st.Created, now), notAfter(st.FirstLive, now)
	st.Glasses = Pulse{Asked: true, Started: now, From: s.Serial + 1, Unproven: true}
	for i := range st.Holds { // never longer than from now, whatever the clock did
		h := &st.Holds[i]
		if latest := now.Add(t.StartDeadline); st.FirstLive.IsZero() && (h.Deadline.IsZero() || h.Deadline.After(latest)) {
			h.Deadline = latest
		}
		if !h.StopAt.IsZero() {
			h.StopAt = now
		}
	}
	switch {
	case st.FirstLive.IsZero(): // its holds have deadlines
	case st.Kind == Managed:
		st.Lost, st.Unwatched = now, now
	default:
		st.Flowing = true
	}
	for _, h := range st.Holds {
		if !slices.ContainsFunc(s.Away, func(a Absent) bool { return a.App == h.App }) {
			s.Away = append(s.Away, Absent{App: h.App})
		}
	}
	return s
}

// notAfter is t, or now for a t that a clock which was set back has put into the
// future: what counts from it would last for as long as the clock was wrong.
func notAfter(t, now time.Time) time.Time {
	if t.After(now) {
		return now
	}
	return t
}
