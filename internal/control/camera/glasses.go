package camera

import (
	"slices"
	"time"

	"glimpse/protocol"
)

// reachable says whether the glasses hear us.
func (s *State) reachable() bool { return s.Device.PhoneUp && s.Device.GlassesConnected }

// able says whether they could start a stream if they were told to.
func (s *State) able() bool { return s.reachable() && !s.Device.WifiDown }

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

// device takes the new state of the device.
func (m *machine) device(e Device) {
	was, wasAble := m.reachable(), m.able()
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
	if st := m.Stream; st != nil && !m.able() { // retries wait
		st.Retry.At = time.Time{}
	}
	if !m.reachable() {
		if st := m.Stream; st != nil { // keep-alives are skipped and not counted
			st.Glasses.SendAt, st.Glasses.AnswerBy = time.Time{}, time.Time{}
		}
		return
	}
	newPhone := e.NewPhone
	m.Device.NewPhone = false
	switch {
	case !was || newPhone:
		m.inReach(newPhone)
	case !wasAble && m.able():
		m.retryNow()
	}
}

// inReach pays what is owed to glasses that hear us again, and goes on with the
// stream: it begins anew on another phone.
func (m *machine) inReach(newPhone bool) {
	for i := range m.Past {
		if p := &m.Past[i]; p.Owed {
			p.Owed, p.At = false, m.now
			m.emit(StopGlasses{AppID: p.AppID, StreamID: p.ID})
		}
	}
	st := m.Stream
	switch {
	case st == nil:
	case newPhone:
		st.Retry = Retry{}
		m.startGlasses(true)
	default:
		if st.Glasses.Asked {
			st.Glasses.SendAt = m.now
		}
		m.retryNow()
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
	e.ErrorDetails = clip(e.ErrorDetails)
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
	g.Misses, g.Unproven = 0, false
	if e.Stats != nil {
		g.Stats = e.Stats
	}
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
		m.disproved()
	case len(id) > maxID: // nothing of ours
	default:
		m.stopGlasses(id, "")
		m.disproved()
	}
}

// disproved ends a direct stream that was restored when the glasses turn out to
// run another one: theirs is only one at a time. A managed one starts again by
// its silence.
func (m *machine) disproved() {
	if st := m.Stream; st != nil && st.Kind == Direct && st.Glasses.Unproven {
		m.endAll(ending{protocol.StatusError, protocol.CodeGlassesError, "Stream lost in a restart: the glasses run another one"})
	}
}
