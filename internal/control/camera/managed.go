package camera

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"glimpse/protocol"
)

// startManaged checks in the order of WIRE d.1 and begins the managed stream or
// joins it. Whoever already holds it goes on with it, so the state of the device
// is no reason to refuse: the answer says how the stream stands.
func (m *machine) startManaged(e StartManaged) {
	m.here(e.App)
	h := m.hold(e.App)
	holds := h != nil && m.Stream.Kind == Managed
	code, text := m.checkApp(e.App, e.Permitted, e.Running, protocol.TextCameraManaged)
	if code == "" && !holds {
		code, text = m.checkDevice()
	}
	if code == "" {
		code, text = checkDestinations(e.Destinations, m.others(e.App))
	}
	if code == "" && m.Stream != nil && m.Stream.Kind == Direct {
		code, text = protocol.CodeCameraBusy, protocol.TextBusyDirect+" ("+m.Stream.Holds[0].App+", direct stream)"
	}
	switch {
	case code != "":
		m.refuse(Managed, e.App, e.IDs.StreamID, code, text)
		return
	case m.Stream == nil:
		m.beginManaged(e)
		return
	case !holds:
		h = m.grant(e.App)
	}
	m.join(h, e)
}

func (m *machine) beginManaged(e StartManaged) {
	m.Stream = &Stream{
		Kind: Managed, ID: e.IDs.StreamID, IngestKey: e.IDs.IngestKey, PlaybackID: e.IDs.PlaybackID,
		Options: e.Options.clean(), Limit: limitOf(e.Options.Stream), Created: m.now, Unwatched: m.now,
	}
	m.emit(Note{What: StreamBegan, Kind: Managed, StreamID: m.Stream.ID, App: e.App})
	h := m.grant(e.App)
	h.Destinations = e.Destinations
	h.Deadline = m.now.Add(m.Times.StartDeadline)
	m.emit(OpenIngest{IDs: e.IDs, App: e.App})
	m.tellManaged(h, unknownQuality(e.Options.Quality))
	m.startGlasses(false)
}

// join answers a start request for the stream that runs, at once.
func (m *machine) join(h *Hold, e StartManaged) {
	h.Orphan, h.StopAt, h.Deadline = false, time.Time{}, time.Time{}
	if e.Destinations != nil {
		h.Destinations = e.Destinations
	}
	if !m.Stream.Flowing {
		h.Deadline = m.now.Add(m.Times.StartDeadline)
	}
	if !m.Stream.Unwatched.IsZero() { // somebody wants it: the wait for a viewer begins anew
		m.Stream.Unwatched = m.now
	}
	m.tellManaged(h, refusedWishes(m.Stream.Options, e.Options.clean()))
}

// tellManaged tells a holder how the stream stands; notes are added to the
// message. An app that has asked to stop hears no more of it.
func (m *machine) tellManaged(h *Hold, notes ...string) {
	st := m.Stream
	s := protocol.ManagedStatus{StreamID: st.ID, Outputs: st.outputs(h.Destinations)}
	switch {
	case st.Flowing:
		s.Status, s.Message = protocol.StatusActive, protocol.TextLive
	case st.Interrupted():
		s.Status, s.Message = protocol.StatusPreparing, protocol.TextReconnecting
	default:
		s.Status, s.Message = protocol.StatusInitializing, protocol.TextWaiting
	}
	h.Status = s.Status
	if h.Orphan || !h.StopAt.IsZero() {
		return
	}
	for _, n := range notes {
		if n != "" {
			s.Message += " (" + n + ")"
		}
	}
	m.tell(h.App, TellManaged{App: h.App, PlaybackID: st.PlaybackID, Status: s})
}

// refusedWishes says what a joiner asked for that the running stream does not do.
func refusedWishes(have, want Options) string {
	var no []string
	add := func(name string, differs bool) {
		if differs {
			no = append(no, name)
		}
	}
	add("quality", want.Quality != "" && want.Quality != have.Quality)
	add("video", len(want.Video) > 0 && !bytes.Equal(want.Video, have.Video))
	add("audio", len(want.Audio) > 0 && !bytes.Equal(want.Audio, have.Audio))
	add("stream", len(want.Stream) > 0 && !bytes.Equal(want.Stream, have.Stream))
	add("sound", want.Silent && !have.Silent)
	if len(no) == 0 {
		return ""
	}
	return "joined a running stream, not applied: " + strings.Join(no, ", ")
}

// mediaLive makes a managed stream active for all who wait for it.
func (m *machine) mediaLive(e MediaLive) {
	if !m.current(e.StreamID) || m.Stream.Kind != Managed || m.Stream.Flowing {
		return
	}
	st := m.Stream
	what := StreamResumed
	if st.FirstLive.IsZero() {
		what, st.FirstLive = StreamLive, m.now
	}
	st.Flowing, st.Lost, st.Told, st.Retry = true, time.Time{}, false, Retry{}
	st.Reason, st.Code = "", ""
	m.emit(Note{What: what, Kind: Managed, StreamID: st.ID})
	for i := range st.Holds {
		h := &st.Holds[i]
		h.Deadline = time.Time{}
		if h.Status != protocol.StatusActive {
			m.tellManaged(h)
		}
	}
}

// mediaLost begins an interruption. Apps hear of it later, if it lasts.
func (m *machine) mediaLost(e MediaLost) {
	if !m.current(e.StreamID) || !m.Stream.Flowing || m.Stream.Kind != Managed {
		return
	}
	m.Stream.Flowing = false
	m.Stream.Lost = m.now.Add(-max(e.Silent, 0))
	m.emit(Note{What: StreamInterrupted, Kind: Managed, StreamID: e.StreamID})
}

func (m *machine) viewers(e Viewers) {
	if !m.current(e.StreamID) || m.Stream.Kind != Managed {
		return
	}
	m.Stream.Viewers = max(e.N, 0)
	m.watched()
}

// watched notes since when nobody watches; a restream destination does.
func (m *machine) watched() {
	sent := slices.ContainsFunc(m.Stream.Sending, func(s Sending) bool { return s.Status == protocol.StatusActive })
	switch {
	case sent || m.Stream.Viewers > 0:
		m.Stream.Unwatched = time.Time{}
	case m.Stream.Unwatched.IsZero():
		m.Stream.Unwatched = m.now
	}
}

// managedSaid hears the glasses of a managed stream: what counts there is the
// media, so only an end matters.
func (m *machine) managedSaid(e GlassesSaid) {
	if !over(e.Status) {
		return
	}
	st := m.Stream
	code, text := cause(e.Status, e.ErrorDetails)
	text = st.redact(text)
	switch {
	case e.Status == protocol.StatusStopped && st.limitNear(m.now):
		m.endAll(limitReached())
	case hopeless(e.ErrorDetails):
		m.endAll(ending{protocol.StatusError, code, text})
	default:
		m.failed(m.now, code, text)
	}
}
