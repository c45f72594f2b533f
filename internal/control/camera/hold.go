package camera

import (
	"slices"
	"time"

	"glimpse/protocol"
)

// ending is how a hold ends: with stopped, error or timeout. Code and text say
// why; text holds no secret of anyone but the app that is told.
type ending struct {
	status string
	code   protocol.Code
	text   string
}

// grant gives the app a hold in the current stream, whose start request ends
// with "timeout" unless the stream becomes active in time.
func (m *machine) grant(app string) *Hold {
	m.Stream.Holds = append(m.Stream.Holds, Hold{App: app})
	m.emit(Note{What: HoldBegan, Kind: m.Stream.Kind, StreamID: m.Stream.ID, App: app})
	return m.hold(app)
}

// endHold ends the app's hold with exactly one terminal status; the stream goes
// with its last hold.
func (m *machine) endHold(app string, end ending) {
	h := m.hold(app)
	if !h.StopAt.IsZero() { // it has asked for this
		end = ending{status: protocol.StatusStopped, text: textStopped}
	}
	m.tellEnd(h, end)
	st := m.Stream
	m.emit(Note{What: HoldEnded, Kind: st.Kind, StreamID: st.ID, App: app, Status: end.status, Code: end.code, Message: st.redact(end.text)})
	st.Holds = slices.DeleteFunc(st.Holds, func(h Hold) bool { return h.App == app })
	if len(st.Holds) == 0 {
		m.finish(app, end)
	}
}

// tellEnd tells the app how its hold ends; an end of ours is announced.
func (m *machine) tellEnd(h *Hold, end ending) {
	st := m.Stream
	announce := end.status == protocol.StatusStopped && st.Glasses.Asked && h.Status != protocol.StatusStopping
	h.Status = end.status
	if h.Orphan {
		return
	}
	if st.Kind == Managed {
		if announce {
			m.tell(h.App, TellManaged{App: h.App, PlaybackID: st.PlaybackID, Status: protocol.ManagedStatus{Status: protocol.StatusStopping, StreamID: st.ID}})
		}
		m.tell(h.App, managedEnd(h.App, st.ID, end))
		return
	}
	if announce {
		m.tell(h.App, TellDirect{App: h.App, Status: protocol.DirectStatus{Status: protocol.StatusStopping, StreamID: st.ID, AppID: h.App}})
	}
	m.tell(h.App, directEnd(h.App, st.ID, end))
}

// directEnd is a terminal direct status; both spellings of the text are filled
// for what is a failure.
func directEnd(app, id string, end ending) TellDirect {
	s := protocol.DirectStatus{StreamID: id, Status: end.status, AppID: app, Message: end.text, Code: string(end.code)}
	if end.status != protocol.StatusStopped {
		s.ErrorDetails = end.text
	}
	return TellDirect{App: app, Status: s}
}

// managedEnd is a terminal managed status.
func managedEnd(app, id string, end ending) TellManaged {
	s := protocol.ManagedStatus{StreamID: id, Status: end.status, Message: end.text, Code: string(end.code)}
	if end.status != protocol.StatusStopped {
		s.ErrorDetails = end.text
	}
	return TellManaged{App: app, Status: s}
}

// endAll ends the stream for all who hold it.
func (m *machine) endAll(end ending) {
	for m.Stream != nil {
		m.endHold(m.Stream.Holds[0].App, end)
	}
}

// finish frees the camera. lastApp is who held it last.
func (m *machine) finish(lastApp string, end ending) {
	st := m.Stream
	appID := lastApp
	if st.Kind == Managed {
		appID = protocol.ManagedAppID
	}
	if st.Glasses.Asked || (st.Kind == Managed && st.Flowing) {
		m.stopGlasses(st.ID, appID)
	} else {
		m.remember(Past{ID: st.ID, AppID: appID, At: m.now})
	}
	if st.Kind == Managed {
		m.emit(CloseIngest{StreamID: st.ID, Reason: end.text})
	}
	m.emit(Note{What: StreamEnded, Kind: st.Kind, StreamID: st.ID, Status: end.status, Code: end.code, Message: st.redact(end.text)})
	m.Stream = nil
}

// refuse answers a start request that cannot be granted with its one terminal
// status. The SDK takes that as the end of whatever it held of the same kind,
// so a hold of the app ends with it (WIRE a.7).
func (m *machine) refuse(kind Kind, app, id string, code protocol.Code, text string) {
	m.emit(Note{What: Refused, Kind: kind, StreamID: id, App: app, Code: code, Message: text})
	end := ending{protocol.StatusError, code, text}
	if h := m.hold(app); h != nil && m.Stream.Kind == kind {
		h.Orphan, h.StopAt = false, time.Time{}
		m.endHold(app, end)
		return
	}
	m.answer(kind, app, id, end)
}

// answer sends a terminal status to an app that holds nothing of the kind.
func (m *machine) answer(kind Kind, app, id string, end ending) {
	if kind == Managed {
		m.tell(app, managedEnd(app, id, end))
		return
	}
	m.tell(app, directEnd(app, id, end))
}

// textStopped goes with a stop that the app asked for.
const textStopped = "Stopped by the app"

// stop handles an app's stop request. It is idempotent: without a stream the
// answer is "stopped" at once.
func (m *machine) stop(e Stop) {
	m.here(e.App)
	st, h := m.Stream, m.hold(e.App)
	switch {
	case h != nil && st.Kind == e.Kind && e.Kind == Managed:
		h.Orphan = false
		if h.StopAt.IsZero() { // the SDK's stop and start race (WIRE a.7): wait for a start
			h.StopAt = m.now.Add(m.Times.Coalesce)
		}
	case h != nil && st.Kind == e.Kind:
		// whatever id it names: the SDK knows the id only from statuses
		h.Orphan = false
		m.endHold(e.App, ending{status: protocol.StatusStopped, text: textStopped})
	case st != nil && st.Kind == Direct && e.Kind == Direct && (e.StreamID == "" || e.StreamID == st.ID):
		text := "Cannot stop stream: it belongs to " + st.Holds[0].App
		m.emit(Note{What: Refused, Kind: Direct, StreamID: st.ID, App: e.App, Code: protocol.CodeNotOwner, Message: text})
		m.answer(Direct, e.App, st.ID, ending{protocol.StatusError, protocol.CodeNotOwner, text})
	default:
		m.answer(e.Kind, e.App, e.StreamID, ending{status: protocol.StatusStopped})
	}
}
