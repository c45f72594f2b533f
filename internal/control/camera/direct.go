package camera

import (
	"slices"
	"time"

	"glimpse/protocol"
)

// startDirect checks in the order of WIRE d.1 and begins a direct stream, or
// replaces the app's own.
func (m *machine) startDirect(e StartDirect) {
	m.here(e.App)
	code, text := m.checkApp(e.App, e.Permitted, e.Running, protocol.TextCameraDirect)
	if code == "" {
		code, text = m.checkDevice()
	}
	if code == "" {
		code, text = checkURL(e.URL, "streamUrl", "rtmp", "rtmps", "srt", "https", "http") // D15; http(s) is WHIP
	}
	if code == "" {
		m.finishStops()
		code, text = m.checkFree(e.App)
	}
	if code != "" {
		m.refuse(Direct, e.App, e.IDs.StreamID, code, text)
		return
	}
	old := m.Stream
	m.Stream = &Stream{
		Kind: Direct, ID: e.IDs.StreamID, URL: e.URL, Options: e.Options.clean(),
		Limit: limitOf(e.Options.Stream), Created: m.now,
	}
	var h *Hold
	if old == nil {
		m.emit(Note{What: StreamBegan, Kind: Direct, StreamID: m.Stream.ID, App: e.App})
		h = m.grant(e.App)
	} else {
		// The start stops the old one on the glasses; what they still say of it
		// is dropped, because the SDK would take it for the new one's.
		m.remember(Past{ID: old.ID, AppID: e.App, At: m.now})
		m.emit(Note{What: StreamEnded, Kind: Direct, StreamID: old.ID, Status: protocol.StatusStopped, Message: "Replaced by " + m.Stream.ID})
		m.emit(Note{What: StreamBegan, Kind: Direct, StreamID: m.Stream.ID, App: e.App})
		m.Stream.Holds = old.Holds
		h = &m.Stream.Holds[0]
		h.Orphan = false
	}
	h.Deadline = m.now.Add(m.Times.StartDeadline)
	m.tellDirect(h, protocol.DirectStatus{Status: protocol.StatusInitializing})
	m.startGlasses(false)
}

// checkFree says why a direct stream of the app cannot have the camera.
func (m *machine) checkFree(app string) (protocol.Code, string) {
	switch st := m.Stream; {
	case st == nil:
		return "", ""
	case st.Kind == Managed:
		return protocol.CodeManagedActive, protocol.TextManagedActive
	case st.Holds[0].App != app:
		return protocol.CodeCameraBusy, protocol.TextBusyOtherApp + " (" + st.Holds[0].App + ", direct stream)"
	}
	return "", ""
}

// finishStops carries out managed stops that still wait, when nobody else
// holds the stream: the camera is free for whoever asks now.
func (m *machine) finishStops() {
	st := m.Stream
	if st == nil || slices.ContainsFunc(st.Holds, func(h Hold) bool { return h.StopAt.IsZero() }) {
		return
	}
	m.endAll(ending{status: protocol.StatusStopped, text: textStopped})
}

// tellDirect sends the owner a status of the direct stream. A second one of the
// same word is sent only when it brings something.
func (m *machine) tellDirect(h *Hold, s protocol.DirectStatus) {
	h.Status = s.Status
	if h.Orphan {
		return
	}
	s.StreamID, s.AppID = m.Stream.ID, h.App
	m.tell(h.App, TellDirect{App: h.App, Status: s})
}

// directSaid passes the glasses' word on to the owner (WIRE d.3).
func (m *machine) directSaid(e GlassesSaid) {
	st := m.Stream
	h := &st.Holds[0]
	s := protocol.DirectStatus{Status: e.Status, Stats: e.Stats, ErrorDetails: e.ErrorDetails, Message: e.ErrorDetails}
	switch e.Status {
	case protocol.StatusStreaming, protocol.StatusActive, protocol.StatusReconnected:
		s.Status = protocol.StatusActive
		m.directFlows()
	case protocol.StatusInitializing, protocol.StatusConnecting:
		st.Lost = time.Time{}
		if !st.FirstLive.IsZero() { // once it was live there is no way back (WIRE d.3)
			s.Status = protocol.StatusReconnecting
			m.directPauses()
		}
	case protocol.StatusStopping:
		st.Lost = time.Time{}
	case protocol.StatusReconnecting:
		st.Lost = time.Time{}
		m.directPauses()
	case protocol.StatusDisconnected: // an error unless they reconnect in time
		if st.Lost.IsZero() {
			st.Lost = m.now
		}
		st.Code, st.Reason = cause(e.Status, e.ErrorDetails)
		s.Status = protocol.StatusReconnecting
		m.directPauses()
	case protocol.StatusStopped:
		m.endHold(h.App, ending{status: protocol.StatusStopped, text: e.ErrorDetails})
		return
	case protocol.StatusTimeout:
		code, text := cause(e.Status, e.ErrorDetails)
		m.endHold(h.App, ending{protocol.StatusTimeout, code, text})
		return
	case protocol.StatusError, protocol.StatusReconnectFailed:
		code, text := cause(e.Status, e.ErrorDetails)
		m.endHold(h.App, ending{protocol.StatusError, code, text})
		return
	default:
		return
	}
	if s.Status != h.Status || s.Stats != nil || s.ErrorDetails != "" {
		m.tellDirect(h, s)
	}
}

// directFlows and directPauses keep the API's view of a direct stream.
func (m *machine) directFlows() {
	st := m.Stream
	st.Lost, st.Holds[0].Deadline = time.Time{}, time.Time{}
	if st.Flowing {
		return
	}
	what := StreamResumed
	if st.FirstLive.IsZero() {
		what, st.FirstLive = StreamLive, m.now
	}
	st.Flowing = true
	m.emit(Note{What: what, Kind: Direct, StreamID: st.ID})
}

func (m *machine) directPauses() {
	if st := m.Stream; st.Flowing {
		st.Flowing = false
		m.emit(Note{What: StreamInterrupted, Kind: Direct, StreamID: st.ID})
	}
}
