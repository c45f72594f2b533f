package camera

import (
	"slices"

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
