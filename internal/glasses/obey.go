package glasses

import (
	"context"
	"encoding/json"
	"time"

	"glimpse/protocol"
)

// onStart begins a stream and takes the camera from a former one.
func (g *Glasses) onStart(m *protocol.StartStream) {
	target := m.StreamURL
	if target == "" {
		target = m.RTMPURL
	}
	if g.closing {
		return
	}
	refuse := func(why string) {
		g.screen.say("stream %s refused: %s", m.StreamID, why)
		g.report(protocol.GlassesStatus{StreamID: m.StreamID, Status: protocol.StatusError, ErrorDetails: why})
	}
	if err := checkURL(target); err != nil {
		refuse(err.Error())
		return
	}
	if why := g.unfit(m); why != "" {
		refuse(why)
		return
	}
	var limits protocol.StreamConfig
	if len(m.Stream) > 0 && json.Unmarshal(m.Stream, &limits) != nil {
		limits = protocol.StreamConfig{}
	}
	film := g.cfg.Source.WithSound(soundFor(target))
	if len(film.Tracks()) < len(g.cfg.Source.Tracks()) {
		g.screen.say("stream %s has no sound: the film has none in %s", m.StreamID, soundFor(target))
	}
	s := &stream{
		streamSpec: streamSpec{
			id: m.StreamID, url: target, sound: m.Sound,
			limit: seconds(limits.DurationLimit),
		},
		source: film, times: g.cfg.Times,
		publish: func(ctx context.Context, url string) (Publisher, error) {
			return g.cfg.Publish(ctx, url, film.Tracks(), g.wifi)
		},
		light:   func(on bool) { g.screen.light(on, m.Sound) },
		offline: g.wifi.down,
	}
	if g.manners.stopped > 0 {
		s.times.ForcedStop = g.lasting(g.manners.stopped)
	}
	s.tell = func(st protocol.GlassesStatus) { g.post(func() { g.onStreamStatus(s, st) }) }
	var former <-chan struct{}
	if g.current != nil {
		g.current.end(errReplaced)
		former = g.current.free
	}
	g.current, g.last = s, protocol.GlassesStatus{}
	s.arm(g.life)
	g.jobs.Go(func() { s.run(former) })
}

// unfit says why the glasses cannot stream now, in their own words; "" when they
// can.
func (g *Glasses) unfit(m *protocol.StartStream) string {
	battery := g.body.battery
	switch {
	case g.body.noWifi:
		return "no_wifi_connection"
	case battery != nil && battery.Level < lowBattery && !battery.Charging:
		return "battery too low to start streaming"
	}
	return g.manners.refuses(m.Video)
}

// onStop ends the current stream; another one's id is answered, not obeyed.
func (g *Glasses) onStop(m *protocol.StopStream) {
	if g.current == nil || m.StreamID != "" && m.StreamID != g.current.id {
		g.report(protocol.GlassesStatus{StreamID: m.StreamID, Status: protocol.StatusError, ErrorDetails: "not_streaming"})
		return
	}
	g.current.end(errStopped)
}

// onKeepAlive answers for the current stream only.
func (g *Glasses) onKeepAlive(m *protocol.KeepStreamAlive) {
	if g.current == nil || m.StreamID != g.current.id {
		return // the cloud notices by the missing answer
	}
	g.current.keepAlive()
	answer := func() {
		g.link.send(protocol.KeepStreamAlive{
			Envelope: protocol.Envelope{Type: protocol.TypeKeepAliveAck, Timestamp: now()},
			StreamID: m.StreamID, AckID: m.AckID,
		})
	}
	switch g.manners.acks {
	case "off":
	case "late":
		g.later(g.manners.ackDelay, func() {
			if g.hearable() {
				answer()
			}
		})
	case "twice":
		answer()
		answer()
	default:
		answer()
	}
}

// onStreamStatus takes what a stream's goroutine reports.
func (g *Glasses) onStreamStatus(s *stream, st protocol.GlassesStatus) {
	goesOn := g.current == s && g.last.Status == st.Status // only its figures are new
	if g.current == s {
		if goesOn && g.manners.stats == "off" {
			return
		}
		g.last = st
		if terminal(st.Status) {
			g.current = nil
		}
	} else if g.current != nil && g.current.id == s.id {
		return // the same stream was started anew: its former life is nobody's business
	}
	if !goesOn {
		g.diary.note(st.Status)
	}
	switch {
	case st.ErrorDetails != "":
		g.screen.say("stream %s: %s: %s", st.StreamID, st.Status, st.ErrorDetails)
	case st.Status == protocol.StatusReconnecting:
		g.screen.say("stream %s: reconnecting, attempt %d of %d: %s", st.StreamID, st.Attempt, st.MaxAttempts, st.Reason)
	case st.Status != protocol.StatusStreaming:
		g.screen.say("stream %s: %s", st.StreamID, st.Status)
	}
	g.report(st)
}

func terminal(status string) bool {
	switch status {
	case protocol.StatusStopped, protocol.StatusError, protocol.StatusTimeout, protocol.StatusReconnectFailed:
		return true
	}
	return false
}

// report sends a status, or keeps it for later if it must not be lost.
func (g *Glasses) report(st protocol.GlassesStatus) {
	switch {
	case g.hearable():
		g.sendStatus(st)
	case terminal(st.Status) && len(g.unsent) < maxUnsent:
		g.unsent = append(g.unsent, st)
	}
}

// hearable says whether the cloud hears the glasses now.
func (g *Glasses) hearable() bool { return g.up && !g.body.far }

func (g *Glasses) sendStatus(st protocol.GlassesStatus) { g.link.send(g.dressed(st)) }

// dressed is a status in the form in which these glasses send it.
func (g *Glasses) dressed(st protocol.GlassesStatus) statusMessage {
	target := ""
	if g.current != nil {
		target = g.current.url
	}
	return g.manners.dress(st, target, g.cfg.Source.Tracks()[0])
}

// seconds bounds a stranger's number of seconds.
func seconds(v float64) time.Duration {
	const year = 365 * 24 * 3600
	if !(v > 0 && v < year) {
		return 0
	}
	return time.Duration(v * float64(time.Second))
}
