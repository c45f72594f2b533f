package camera

import "time"

// Restore makes a state that was read from JSON work again after a restart of
// the process: no phone is there yet, every app is away, what was live is
// interrupted from now on, and a start that was under way gets its whole time
// anew. Keep-alives begin without misses when the glasses are back; glasses
// that have forgotten the stream are found out by them, or by its silence.
func Restore(s State, t Times, now time.Time) State {
	s = s.clone()
	s.Times, s.Device, s.GlassesLost, s.Away = t, Device{}, time.Time{}, nil
	s.PhoneLost = now
	st := s.Stream
	if st == nil {
		return s
	}
	st.Glasses = Pulse{Asked: true, Started: now, From: s.Serial + 1}
	if st.FirstLive.IsZero() {
		for i := range st.Holds {
			st.Holds[i].Deadline = now.Add(t.StartDeadline)
		}
	} else if st.Kind == Managed {
		st.Lost, st.Unwatched = now, now
	} else {
		st.Flowing = true
	}
	for _, h := range st.Holds {
		s.Away = append(s.Away, Absent{App: h.App})
	}
	return s
}
