package session

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"glimpse/internal/control/camera"
)

// outage is how long an SDK tries to come back before it gives its session up.
const outage = 6 * time.Second

// happen is one random thing.
func (h *history) happen() {
	pkg := rapid.SampledFrom(players).Draw(h.t, "app")
	op := rapid.IntRange(0, 28).Draw(h.t, "op")
	p := h.procs[pkg]
	here := p != nil && p.away.IsZero()
	switch {
	case op <= 8 && here && op <= 5:
		h.ask(pkg, p)
	case op <= 8 && here:
		h.stop(pkg, p)
	case op <= 8 && p != nil:
		h.back(pkg, p)
	case op <= 8:
		h.note("start %s", pkg)
		h.startApp(pkg)
	case op == 9:
		h.note("stop %s", pkg)
		h.stopApp(pkg)
	case op <= 12:
		h.appTrouble(pkg, p, op)
	case op <= 15:
		h.phoneTrouble(op)
	case op <= 18:
		h.glassesReport()
	case op <= 20:
		h.mediaNews()
	case op == 21:
		h.stale()
	case op == 22:
		h.reboot(rapid.Bool().Draw(h.t, "kill"))
	case op == 23 && here:
		h.askStatus(pkg, p)
	case op == 24:
		h.slow = !h.slow
		h.settle()
	case op == 25:
		h.w.streams.mu.Lock()
		h.w.streams.fail = !h.w.streams.fail && rapid.Bool().Draw(h.t, "fail")
		h.w.streams.mu.Unlock()
	default:
		ms := rapid.SampledFrom([]int{1, 39, 41, 900, 2100, 6000, 9000, 11_000, 16_000, 61_000}).Draw(h.t, "ms")
		h.pass(time.Duration(ms) * time.Millisecond)
	}
}

// ask is a start request; sometimes it comes twice.
func (h *history) ask(pkg string, p *process) {
	k := rapid.SampledFrom([]camera.Kind{camera.Direct, camera.Managed, camera.Managed}).Draw(h.t, "kind")
	frame := `{"type":"managed_stream_request","packageName":"` + pkg + `"}`
	if k == camera.Direct {
		url := rapid.SampledFrom([]string{"rtmp://h.example/live/k", "rtmp://h.example/live/k", "nonsense"}).Draw(h.t, "url")
		frame = fmt.Sprintf(`{"type":%q,"rtmpUrl":%q,"stream":{"durationLimit":%d}}`, styles[pkg].start, url,
			rapid.SampledFrom([]int{0, 0, 20}).Draw(h.t, "limit"))
	}
	p.open[k], p.since[k], p.doubt = true, time.Now(), false
	h.send(p.link, frame)
	if rapid.IntRange(0, 5).Draw(h.t, "twice") == 0 && p.link != nil && p.away.IsZero() {
		p.open[k], p.since[k] = true, time.Now()
		h.send(p.link, frame)
	}
}

// stop asks for an end, which is answered also when there is nothing to end.
func (h *history) stop(pkg string, p *process) {
	k := rapid.SampledFrom([]camera.Kind{camera.Direct, camera.Managed}).Draw(h.t, "kind")
	frame := `{"type":"managed_stream_stop"}`
	if k == camera.Direct {
		frame = `{"type":"` + styles[pkg].stop + `"}`
	}
	p.open[k] = true
	h.send(p.link, frame)
	h.pass(50 * time.Millisecond) // a managed stop is held back for 40 ms
	if p.open[k] && h.procs[pkg] == p && p.away.IsZero() {
		h.failf("%s's stop of a %s stream was not answered", pkg, k)
	}
}

// back is an app whose socket was lost and that connects again, if its SDK has
// not given up: it is told how each stream stands in which it believes.
func (h *history) back(pkg string, p *process) {
	if time.Since(p.away) >= outage {
		h.note("%s has given up", pkg)
		delete(h.procs, pkg)
		return
	}
	h.note("%s comes back", pkg)
	h.mu.Lock()
	h.forgot[pkg] = h.forgot[pkg] || slices.Contains(h.asked, pkg)
	h.mu.Unlock()
	if !h.attach(pkg, p) {
		return
	}
	socket := p.socket
	believed := map[camera.Kind]bool{}
	for k, open := range p.open {
		believed[k] = open
	}
	h.settle()
	if len(socket.got("tpa_connection_ack")) != 1 || len(socket.got("device_state_update")) == 0 {
		h.failf("%s was greeted with %v", pkg, socket.types())
	}
	if p.doubt { // what the cloud has forgotten is over; the SDK finds out by its own time limit or its next stop
		for k, status := range map[camera.Kind]string{camera.Managed: "managed_stream_status", camera.Direct: styles[pkg].status} {
			if believed[k] && len(socket.got(status)) == 0 {
				h.note("%s's %s stream is forgotten", pkg, k)
				p.open[k], believed[k] = false, false
			}
		}
		clear(p.since) // its request may be forgotten for an earlier one's stream
		p.doubt = false
	}
	if believed[camera.Managed] && len(socket.got("managed_stream_status")) == 0 ||
		believed[camera.Direct] && len(socket.got(styles[pkg].status)) == 0 {
		h.failf("%s came back and was not told how its stream stands: %v", pkg, socket.types())
	}
}

// appTrouble is a socket that drops, a process that dies, a session given away.
func (h *history) appTrouble(pkg string, p *process, op int) {
	if p == nil || !p.away.IsZero() {
		h.mu.Lock()
		h.dead[pkg] = !h.dead[pkg] && op == 12 // a server that is down, or up again
		h.mu.Unlock()
		return
	}
	h.late = append(h.late, p.link)
	switch op {
	case 10:
		h.note("%s loses its socket", pkg)
		p.away = time.Now()
	case 11:
		h.note("%s crashes", pkg)
		delete(h.procs, pkg)
	case 12:
		h.note("%s gives its session away", pkg)
		h.released[pkg] = true
		h.send(p.link, `{"type":"ownership_release","reason":"switching_clouds"}`)
		if h.procs[pkg] == p {
			delete(h.procs, pkg)
		}
	}
	p.link.Gone(h.w.ctx)
	h.settle()
}

func (h *history) phoneTrouble(op int) {
	switch {
	case h.phone == nil:
		h.note("phone comes")
		h.connectPhone()
	case op == 13:
		h.note("phone goes")
		h.losePhone()
		h.settle()
	case op == 14:
		h.note("another phone comes")
		h.connectPhone()
	default:
		h.note("glasses connected: %v", !h.connected)
		h.glassesState(!h.connected)
	}
}

// glassesReport is a status of the glasses: true, late, unknown or without an
// id; or they stop answering or fall silent.
func (h *history) glassesReport() {
	if h.phone == nil || !h.connected {
		return
	}
	say := func(id, status string) {
		if rapid.IntRange(0, 5).Draw(h.t, "no id") == 0 {
			id = ""
		}
		why := rapid.SampledFrom([]string{"", "", "Network error", "battery too low"}).Draw(h.t, "why")
		for range 1 + rapid.IntRange(0, 5).Draw(h.t, "twice")/5 {
			h.send(h.phone, fmt.Sprintf(`{"type":"stream_status","streamId":%q,"status":%q,"errorDetails":%q}`, id, status, why))
		}
	}
	switch rapid.IntRange(0, 6).Draw(h.t, "report") {
	case 0:
		h.acks = !h.acks
	case 1:
		h.running = "" // without a word
	case 2:
		if len(h.past) > 0 {
			id := rapid.SampledFrom(h.past).Draw(h.t, "past")
			if id != h.running {
				h.send(h.phone, `{"type":"stream_status","streamId":"`+id+`","status":"stopped"}`)
				h.send(h.phone, `{"type":"keep_alive_ack","streamId":"`+id+`","ackId":"x"}`)
			}
		}
	case 3:
		if id := h.running; id != "" {
			h.running = ""
			h.past = append(h.past, id)
			say(id, rapid.SampledFrom([]string{"stopped", "error", "reconnect_failed", "timeout"}).Draw(h.t, "end"))
		}
	default:
		if h.running != "" {
			say(h.running, rapid.SampledFrom([]string{
				"initializing", "connecting", "streaming", "streaming", "active", "reconnecting", "reconnected", "flying",
			}).Draw(h.t, "status"))
		}
	}
}

// mediaNews is what the media plane tells, also of ingests that are closed.
func (h *history) mediaNews() {
	spec, open := h.media()
	if open {
		h.ingest = append(h.ingest, spec)
	} else if len(h.ingest) == 0 {
		return
	}
	if rapid.IntRange(0, 3).Draw(h.t, "old") == 0 {
		spec = rapid.SampledFrom(h.ingest).Draw(h.t, "ingest")
	} else if !open {
		return
	}
	current := func() bool { now, open := h.media(); return open && now.StreamID == spec.StreamID }
	switch rapid.IntRange(0, 5).Draw(h.t, "media") {
	case 0:
		spec.Notify(MediaEvent{State: MediaLost, Silent: time.Duration(rapid.IntRange(0, 6).Draw(h.t, "silent")) * time.Second})
	case 1:
		spec.Notify(MediaEvent{State: MediaFailed, Reason: "broken"})
	case 2:
		n := rapid.IntRange(0, 3).Draw(h.t, "viewers")
		spec.NotifyViewers(n)
		if current() {
			h.viewers = n
		}
	default:
		if h.running == spec.StreamID || !current() {
			spec.Notify(MediaEvent{State: MediaLive})
		}
	}
	h.settle()
}

// stale is what comes over sockets that are no more: it has no effect.
func (h *history) stale() {
	before := fmt.Sprintf("%+v", h.camera())
	if len(h.late) > 0 {
		link := rapid.SampledFrom(h.late).Draw(h.t, "link")
		for _, frame := range []string{`{"type":"managed_stream_request"}`, `{"type":"stream_stop"}`, `{"type":"managed_stream_stop"}`} {
			_ = link.Receive(h.w.ctx, []byte(frame))
		}
		link.Gone(h.w.ctx)
	}
	if len(h.oldPhones) > 0 {
		link := rapid.SampledFrom(h.oldPhones).Draw(h.t, "phone")
		_ = link.Receive(h.w.ctx, []byte(`{"type":"stream_status","status":"stopped"}`))
		_ = link.Receive(h.w.ctx, []byte(`{"type":"stop_app","packageName":"com.x.app"}`))
		link.Gone(h.w.ctx)
	}
	h.settle()
	if after := fmt.Sprintf("%+v", h.camera()); after != before {
		h.failf("a stale message changed\n%s to\n%s", before, after)
	}
}

// reboot ends this process and starts the next one. Everybody loses the socket;
// the stream has its ids before anybody is back.
func (h *history) reboot(kill bool) {
	h.note("the server restarts, killed: %v", kill)
	before, had := h.media()
	stream := h.camera().Stream
	if had { // holders who gave their session away are not brought back
		had = slices.ContainsFunc(stream.Holds, func(hold camera.Hold) bool { return !h.released[hold.App] })
	}
	for _, p := range h.procs {
		if p.away.IsZero() {
			p.away = time.Now()
		}
		if kill && h.lag > 0 {
			p.doubt, p.orphan = true, true
		}
	}
	h.phone = nil
	h.late, h.oldPhones = nil, nil
	h.ingest = nil // the old process's media plane has died with it
	h.mu.Lock()
	if rapid.Bool().Draw(h.t, "asked in vain") {
		h.asked = nil
	}
	for _, pkg := range h.asked {
		h.forgot[pkg] = h.forgot[pkg] || kill && h.lag > 0
	}
	h.mu.Unlock()
	h.w.streams.mu.Lock()
	h.w.streams.fail = false
	h.w.streams.mu.Unlock()
	h.restart(kill)
	h.settle()
	after, has := h.media()
	if had && h.lag > 0 && (stream.FirstLive.IsZero() || stream.Limit > 0) {
		had = has // its time may have run out while the last writes of a slow store were waited for
	}
	if kill && h.lag > 0 { // some earlier moment
		clear(h.released)
		before, had = h.opened[after.StreamID]
		has = has && had
		had = has
	}
	if had != has || had && (before.StreamID != after.StreamID || before.IngestKey != after.IngestKey || before.PlaybackID != after.PlaybackID) {
		h.failf("before the restart ingest %v %v, after it %v %v", had, before.StreamID, has, after.StreamID)
	}
	h.viewers = 0
	h.pass(time.Duration(rapid.IntRange(0, 2000).Draw(h.t, "ms")) * time.Millisecond)
}

// askStatus is an app's question about the wearer's stream.
func (h *history) askStatus(pkg string, p *process) {
	socket := p.socket
	before := len(socket.got("stream_status_check_response"))
	h.send(p.link, `{"type":"stream_status_check","requestId":"r"}`)
	replies := socket.got("stream_status_check_response")
	if len(replies) != before+1 {
		h.failf("%s has %d answers, want %d", pkg, len(replies), before+1)
	}
	reply := replies[before]
	stream := h.camera().Stream
	if reply["hasActiveStream"] != (stream != nil) || reply.str("requestId") != "r" {
		h.failf("%s is told %v, the stream is %v", pkg, reply, stream)
	}
	if info, _ := reply["streamInfo"].(map[string]any); stream != nil && stream.Kind == camera.Managed {
		if n, _ := info["activeViewers"].(float64); int(n) != h.viewers {
			h.failf("%s is told of %v viewers, there are %d", pkg, info["activeViewers"], h.viewers)
		}
	}
}

// check looks at what must always hold.
func (h *history) check() {
	stream := h.camera().Stream
	holds := map[string]camera.Kind{}
	if stream != nil {
		for _, hold := range stream.Holds {
			holds[hold.App] = stream.Kind
		}
		if len(holds) != len(stream.Holds) || len(holds) == 0 || stream.Kind == camera.Direct && len(holds) != 1 {
			h.failf("holds %+v of a %s stream", stream.Holds, stream.Kind)
		}
	}
	spec, open := h.media()
	if managed := stream != nil && stream.Kind == camera.Managed; open != managed || open && spec.StreamID != stream.ID {
		h.failf("ingest %q open: %v, stream %+v", spec.StreamID, open, stream)
	}
	if !open {
		h.viewers = 0
	}
	for pkg, p := range h.procs {
		if !p.away.IsZero() {
			continue
		}
		for _, k := range []camera.Kind{camera.Direct, camera.Managed} {
			kind, has := holds[pkg]
			if p.open[k] && (!has || kind != k) {
				h.failf("%s believes in a %s stream that is not", pkg, k)
			}
			p.orphan = p.orphan && has
			if has && kind == k && !p.open[k] && !p.orphan {
				h.failf("%s holds a %s stream and does not know", pkg, k)
			}
		}
		for k, since := range p.since {
			if time.Since(since) >= 25*time.Second {
				h.failf("%s waits %v for its %s stream", pkg, time.Since(since), k)
			}
		}
	}
}

// cooperate lets everybody do what is asked: soon cloud and glasses agree, and
// the apps of the wearer are here.
func (h *history) cooperate() {
	h.note("everybody cooperates")
	h.acks, h.slow = true, false
	h.mu.Lock()
	clear(h.dead)
	h.mu.Unlock()
	h.w.streams.mu.Lock()
	h.w.streams.fail = false
	h.w.streams.mu.Unlock()
	if h.phone == nil {
		h.connectPhone()
	}
	if !h.connected {
		h.glassesState(true)
	}
	for range 30 {
		h.pass(3 * time.Second)
		if h.running != "" {
			h.send(h.phone, `{"type":"stream_status","streamId":"`+h.running+`","status":"streaming"}`)
		}
		if spec, open := h.media(); open {
			state := MediaEvent{State: MediaLost, Silent: 6 * time.Second}
			if h.running == spec.StreamID {
				state = MediaEvent{State: MediaLive}
			}
			spec.Notify(state)
			h.settle()
		}
		for _, pkg := range players {
			if p := h.procs[pkg]; p != nil && !p.away.IsZero() {
				h.back(pkg, p)
			}
		}
		h.check()
	}
	want := ""
	if stream := h.camera().Stream; stream != nil {
		want = stream.ID
	}
	if h.running != want {
		h.failf("the glasses run %q, wanted is %q", h.running, want)
	}
	for _, pkg := range h.w.reg.RunningApps(h.w.ctx, wearer) {
		if h.procs[pkg] == nil {
			h.failf("%s is meant to run and does not", pkg)
		}
	}
	for pkg, p := range h.procs {
		for k := range p.since {
			h.failf("%s still waits for its %s stream", pkg, k)
		}
	}
}

// leave ends all apps and the wearer's session: nothing is left anywhere.
func (h *history) leave() {
	for _, pkg := range players {
		h.note("stop %s", pkg)
		h.stopApp(pkg)
		h.check()
	}
	if len(h.procs) != 0 || h.camera().Stream != nil || h.running != "" {
		h.failf("left over: apps %v, stream %+v, glasses %q", h.procs, h.camera().Stream, h.running)
	}
	if _, open := h.media(); open {
		h.failf("an ingest is left over")
	}
	h.losePhone()
	h.pass(61 * time.Second)
	if h.w.reg.lookup(wearer) != nil {
		h.failf("the session is left over")
	}
	items, err := h.w.reg.deps.Store.All(h.w.ctx)
	if err != nil || len(items) != 0 {
		h.failf("left in the store: %v, %v", items, err)
	}
}
