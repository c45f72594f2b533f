package camera

import (
	"slices"
	"time"

	"glimpse/protocol"
)

// Step returns the state after the event e at now, and what to do about it, in
// order. It is pure and leaves s as it was. Whatever is due at now happens
// before e. An event of a stream that is no more changes nothing.
func Step(s State, e Event, now time.Time) (State, []Effect) {
	m := machine{State: s.clone(), now: now}
	m.expire()
	m.handle(e)
	m.expire()
	m.sendOn()
	return m.State, m.out
}

// machine is one Step in progress.
type machine struct {
	State
	now time.Time
	out []Effect
}

func (m *machine) handle(e Event) {
	switch e := e.(type) {
	case StartDirect:
		m.startDirect(e)
	case StartManaged:
		m.startManaged(e)
	case Malformed:
		m.here(e.App)
		m.refuse(e.Kind, e.App, "", protocol.CodeMalformedMessage, e.Text)
	case Stop:
		m.stop(e)
	case AppLeft:
		m.appLeft(e)
	case AppAway:
		m.appAway(e)
	case AppBack:
		m.appBack(e)
	case GlassesSaid:
		m.glassesSaid(e)
	case KeepAliveAcked:
		m.acked(e)
	case Device:
		m.device(e)
	case MediaLive:
		m.mediaLive(e)
	case MediaLost:
		m.mediaLost(e)
	case IngestFailed:
		if m.current(e.StreamID) {
			m.endAll(ending{protocol.StatusError, protocol.CodeCloudService, "Cloud service error: " + e.Reason})
		}
	case Viewers:
		m.viewers(e)
	case OutputSaid:
		m.outputSaid(e)
	case ChangeOutput:
		m.changeOutput(e)
	case OperatorEnded:
		if m.current(e.StreamID) {
			m.endAll(ending{status: protocol.StatusStopped, text: "Ended by the operator"})
		}
	case SessionEnded:
		m.endAll(ending{status: protocol.StatusStopped, text: e.Reason})
		m.Away = nil
	case Tick: // expire did it
	}
}

func (m *machine) emit(e Effect) { m.out = append(m.out, e) }

// current says whether id is the stream that runs now.
func (m *machine) current(id string) bool { return m.Stream != nil && m.Stream.ID == id }

// hold returns the app's hold in the current stream, or nil.
func (m *machine) hold(app string) *Hold {
	if m.Stream == nil {
		return nil
	}
	i := slices.IndexFunc(m.Stream.Holds, func(h Hold) bool { return h.App == app })
	if i < 0 {
		return nil
	}
	return &m.Stream.Holds[i]
}

// appLeft frees what the app held. Nobody is left to hear what waited for it.
func (m *machine) appLeft(e AppLeft) {
	if h := m.hold(e.App); h != nil {
		m.endHold(e.App, ending{status: protocol.StatusStopped, text: e.Reason})
	}
	m.here(e.App)
}

func (m *machine) appAway(e AppAway) {
	if m.away(e.App) < 0 {
		m.Away = append(m.Away, Absent{App: e.App})
	}
}

func (m *machine) appBack(e AppBack) {
	last := m.here(e.App)
	h := m.hold(e.App)
	switch {
	case !e.SameProcess:
		if h != nil {
			h.Orphan = true
		}
	case last != nil:
		m.emit(last)
	case h != nil && m.Stream.Kind == Managed:
		m.tellManaged(h)
	case h != nil:
		m.tellDirect(h, protocol.DirectStatus{Status: h.Status})
	}
}

func (m *machine) away(app string) int {
	return slices.IndexFunc(m.State.Away, func(a Absent) bool { return a.App == app })
}

// here notes that the app has a socket and returns the status that waited for it.
func (m *machine) here(app string) Effect {
	i := m.away(app)
	if i < 0 {
		return nil
	}
	last := m.Away[i].Last
	m.Away = slices.Delete(m.Away, i, i+1)
	return last
}

// tell sends a status to the app, or keeps it while the app is away.
func (m *machine) tell(app string, e Effect) {
	if i := m.away(app); i >= 0 {
		m.Away[i].Last = e
		return
	}
	m.emit(e)
}

// entry is one rule of time: when it is due (zero for never) and what it does.
type entry struct {
	due func(*State) time.Time
	act func(*machine)
}

// timetable lists the rules of time in the order in which they happen when
// several are due.
func timetable() [12]entry {
	return [...]entry{
		{dueStop, (*machine).onStop},
		{dueLimit, (*machine).onLimit},
		{dueNoViewer, (*machine).onNoViewer},
		{dueGlassesLost, (*machine).onGlassesLost},
		{dueDisconnected, (*machine).onDisconnected},
		{dueDeadline, (*machine).onDeadline},
		{dueWindow, (*machine).onWindow},
		{dueTell, (*machine).onTell},
		{dueAnswer, (*machine).onMiss},
		{dueKeepAlive, (*machine).onKeepAlive},
		{dueSilence, (*machine).onSilence},
		{dueRetry, (*machine).onRetry},
	}
}

// Next returns when a Tick is wanted; zero for never. It is later than the now
// of the Step that made s, unless durations in Times are zero.
func Next(s State) time.Time {
	var next time.Time
	if s.Stream == nil {
		return next
	}
	for _, e := range timetable() {
		if t := e.due(&s); !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	return next
}

// expire does what is due.
func (m *machine) expire() {
	for _, e := range timetable() {
		if m.Stream == nil {
			return
		}
		if t := e.due(&m.State); !t.IsZero() && !m.now.Before(t) {
			e.act(m)
		}
	}
}
