package camera

import (
	"slices"
	"time"

	"glimpse/protocol"
)

// reachable says whether the glasses hear us.
func (s *State) reachable() bool { return s.Device.PhoneUp && s.Device.GlassesConnected }

// startGlasses sends start_stream for the current stream; again when it is not
// the first for this id.
func (m *machine) startGlasses(again bool) {
	st := m.Stream
	st.Glasses = Pulse{Asked: true, Again: again, Started: m.now, From: m.Serial + 1, SendAt: m.now.Add(m.Times.KeepAlive)}
	m.emit(StartGlasses{IngestKey: st.IngestKey, Start: protocol.StartStream{
		StreamURL: st.URL, RTMPURL: st.URL, AppID: st.AppID(), StreamID: st.ID,
		Video: videoFor(st.Options), Audio: st.Options.Audio, Stream: st.Options.Stream,
		Flash: true, Sound: !st.Options.Silent,
	}})
}

// stopGlasses sends stop_stream, now and, if the glasses cannot hear it, again
// when they are back.
func (m *machine) stopGlasses(id, appID string) {
	if m.Device.PhoneUp {
		m.emit(StopGlasses{AppID: appID, StreamID: id})
	}
	m.remember(Past{ID: id, AppID: appID, At: m.now, Owed: !m.reachable()})
}

// maxPast bounds the memory of past streams. A forgotten one that still runs
// shows itself by its statuses and is stopped then.
const maxPast = 8

func (m *machine) remember(p Past) {
	m.Past = slices.DeleteFunc(m.Past, func(q Past) bool { return q.ID == p.ID })
	if len(m.Past) == maxPast {
		m.Past = slices.Delete(m.Past, 0, 1)
	}
	m.Past = append(m.Past, p)
}

// device takes the new state of the device: debts are paid first when the
// glasses can be reached again, then the stream goes on.
func (m *machine) device(e Device) {
	was := m.reachable()
	e.NewPhone = e.NewPhone || m.Device.NewPhone // until its glasses can be told
	if m.Device.PhoneUp && !e.PhoneUp {
		m.PhoneLost = m.now
	}
	if e.PhoneUp {
		m.PhoneLost = time.Time{}
	}
	m.Device = e
	switch {
	case !e.PhoneUp || e.GlassesConnected:
		m.GlassesLost = time.Time{}
	case m.GlassesLost.IsZero():
		m.GlassesLost = m.now
	}
	st := m.Stream
	if !m.reachable() {
		if st != nil { // keep-alives are skipped and not counted, retries wait
			st.Glasses.SendAt, st.Glasses.AnswerBy, st.Retry.At = time.Time{}, time.Time{}, time.Time{}
		}
		return
	}
	newPhone := e.NewPhone
	m.Device.NewPhone = false
	if was && !newPhone {
		return
	}
	for i := range m.Past {
		if p := &m.Past[i]; p.Owed {
			p.Owed, p.At = false, m.now
			m.emit(StopGlasses{AppID: p.AppID, StreamID: p.ID})
		}
	}
	switch {
	case st == nil:
	case newPhone:
		st.Retry = Retry{}
		m.startGlasses(true)
	default:
		if st.Glasses.Asked {
			st.Glasses.SendAt = m.now
		}
		if !st.Retry.Base.IsZero() {
			st.Retry = Retry{Base: m.now}
			m.schedule()
		}
	}
}

// alive says whether a status means that the glasses run a stream.
func alive(status string) bool {
	switch status {
	case protocol.StatusInitializing, protocol.StatusConnecting, protocol.StatusStreaming,
		protocol.StatusActive, protocol.StatusReconnecting, protocol.StatusReconnected:
		return true
	}
	return false
}

// over says whether a status means that the glasses have ended a stream.
func over(status string) bool {
	switch status {
	case protocol.StatusStopped, protocol.StatusError, protocol.StatusReconnectFailed, protocol.StatusTimeout:
		return true
	}
	return false
}

// glassesSaid hears a status of the glasses. Statuses without an id mean the
// current stream, except the late end of one that was just replaced.
func (m *machine) glassesSaid(e GlassesSaid) {
	ending := e.Status == protocol.StatusStopped || e.Status == protocol.StatusStopping
	switch {
	case e.ErrorDetails == "not_streaming": // the answer to a stop that was not needed
		return
	case e.StreamID == "" && m.Stream == nil:
		return
	case e.StreamID == "" && ending && m.justReplaced():
		return
	case e.StreamID != "" && !m.current(e.StreamID):
		m.stranger(e.StreamID, alive(e.Status))
		return
	}
	st := m.Stream
	g := &st.Glasses
	if ending && g.Again && m.now.Before(g.Started.Add(m.Times.Settle)) {
		return // the start that was sent again ended the former one (WIRE c.4)
	}
	g.Misses = 0
	if alive(e.Status) {
		g.Word = m.now
		if !g.Asked { // it came back by itself
			g.Asked, g.From = true, m.Serial+1
			if m.reachable() {
				g.SendAt = m.now.Add(m.Times.KeepAlive)
			}
		}
	}
	if over(e.Status) {
		*g = Pulse{Started: g.Started, Again: g.Again}
	}
	if st.Kind == Direct {
		m.directSaid(e)
	} else {
		m.managedSaid(e)
	}
}

// justReplaced says whether a stream ended so recently that its late statuses
// may still be on their way.
func (m *machine) justReplaced() bool {
	return slices.ContainsFunc(m.Past, func(p Past) bool { return m.now.Before(p.At.Add(m.Times.Settle)) })
}

// maxID bounds the ids of strangers that are kept, in bytes; ours have 11.
const maxID = 64

// stranger hears of a stream that is not the current one: whatever the glasses
// report alive that we do not want is stopped, at most once per Settle.
func (m *machine) stranger(id string, alive bool) {
	i := slices.IndexFunc(m.Past, func(p Past) bool { return p.ID == id })
	switch {
	case !alive && i >= 0:
		m.Past[i].Owed = false
	case !alive:
	case i >= 0 && m.now.Before(m.Past[i].At.Add(m.Times.Settle)):
		// on its way before our stop or start arrived
	case i >= 0:
		m.stopGlasses(id, m.Past[i].AppID)
	case len(id) > maxID: // nothing of ours
	default:
		m.stopGlasses(id, "")
	}
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
	case protocol.StatusInitializing, protocol.StatusConnecting, protocol.StatusStopping:
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
