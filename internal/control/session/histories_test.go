package session

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"glimpse/internal/control/apps"
	"glimpse/internal/control/camera"
	"glimpse/protocol"
)

// TestHistories drives a wearer's session through random histories: apps that
// ask, stop, drop, crash, and are started and stopped; phones that come, go and
// are replaced; glasses that obey or do not; media; SIGTERM and kill -9 of this
// process with a restore from the store; late and duplicate messages. Beside it
// stands a model of what each app's process believes, made of nothing but the
// frames that it got.
//
// The store's writes take a while in some histories, and a kill then loses what is
// under way: the cloud goes on from an earlier moment, and who comes back is told
// of that one. Then the next stop or start of an app that was forgotten must do
// what it says, and nobody may be left with a stream that nobody can end.
//
// The camera never has two owners, an app that believes in a stream has it, each
// request is live or has ended within 24 s, each hold ends in exactly one
// terminal status, and after a restart an app is told how its stream stands.
//
// GLIMPSE_LONG=1 runs 10,000 histories instead of 1,000; -rapid.checks=N decides
// otherwise.
//
// A8 A13 B40 B41 C30 C38 D14
func TestHistories(t *testing.T) {
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		n := "1000"
		if os.Getenv("GLIMPSE_LONG") != "" {
			n = "10000"
		}
		if err := flag.Set("rapid.checks", n); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = flag.Set("rapid.checks", f.DefValue) }()
	}
	var first sync.Once // goroutines have no order: what rapid repeats may differ
	rapid.Check(t, func(rt *rapid.T) {
		var cause any // a panic, also a failure: it must not leave the bubble
		inWorld(t, func(_ *testing.T, w *world) {
			h := &history{t: rt, w: w}
			defer func() {
				if cause = recover(); cause != nil {
					first.Do(func() { t.Logf("the first one that failed:\n%s\n%v", strings.Join(h.story, "\n"), cause) })
				}
				h.hangUp()
			}()
			h.begin()
			h.tell(rapid.IntRange(1, 60).Draw(rt, "events"))
		})
		if cause != nil {
			panic(cause)
		}
	})
}

// The spellings of the three apps.
var styles = map[string]struct {
	mini                bool
	start, stop, status string // of direct streams
}{
	"com.x.app":   {false, "rtmp_stream_request", "rtmp_stream_stop", "rtmp_stream_status"},
	"com.x.other": {true, "stream_request", "stream_stop", "stream_status"},
	"com.x.third": {false, "stream_request", "stream_stop", "stream_status"},
}

var players = slices.Sorted(maps.Keys(styles))

// process is an app's process: its socket and what its SDK believes.
type process struct {
	link   *AppLink
	socket *fakeSocket
	read   int       // frames that it has taken in
	away   time.Time // since when its socket is gone; zero while it is here

	open   map[camera.Kind]bool // a stream is wanted or running, or its end is awaited
	since  map[camera.Kind]time.Time
	orphan bool // the process before it may have left a hold
	doubt  bool // the cloud was killed, and may remember less of it than was
}

// history is one run.
type history struct {
	t       *rapid.T
	w       *world
	restart func(kill bool)
	story   []string // what happened, for humans

	procs    map[string]*process   // that are alive
	dead     map[string]bool       // app servers that do not answer
	mu       sync.Mutex            // guards asked
	asked    []string              // packages of webhooks not yet obeyed
	askedAt  time.Time             // the newest of them
	slow     bool                  // app servers take a while to obey
	forgot   map[string]bool       // packages whose next process may be taken for the one before: the cloud forgot that it asked, or that one came first
	released map[string]bool       // gave their session away
	late     []*AppLink            // superseded or closed sockets
	past     []string              // streamIds of before
	ingest   []IngestSpec          // that were open once in this process of the cloud
	opened   map[string]IngestSpec // in any, by streamId
	lag      time.Duration         // of the store's writes
	rests    sync.WaitGroup        // starts by REST

	phone     *PhoneLink
	screen    *fakeSocket
	read      int
	oldPhones []*PhoneLink
	connected bool   // the glasses, to the phone
	running   string // on the glasses
	acks      bool
	viewers   int
}

// begin makes the world of a history: all that panics must not leave the bubble.
func (h *history) begin() {
	w := h.w
	h.opened, h.procs, h.dead = map[string]IngestSpec{}, map[string]*process{}, map[string]bool{}
	h.released, h.forgot, h.acks = map[string]bool{}, map[string]bool{}, true
	w.apps["com.x.third"] = apps.App{Package: "com.x.third", URL: "http://third", Permissions: []string{"CAMERA"}}
	w.hooks.onStart = func(_ context.Context, req protocol.SessionRequest) error {
		pkg := strings.TrimPrefix(req.SessionID, wearer+"-")
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.dead[pkg] {
			return fmt.Errorf("dial: %w", apps.ErrUnreachable)
		}
		h.asked, h.askedAt = append(h.asked, pkg), time.Now()
		return nil
	}
	h.lag = rapid.SampledFrom([]time.Duration{0, 30 * time.Millisecond, storeTimeout / 2}).Draw(h.t, "lag")
	h.restart = w.rememberingSlowly(h.lag)
}

// tell makes n things happen, then lets everybody cooperate and leave.
func (h *history) tell(n int) {
	h.connectPhone()
	h.startApp("com.x.app")
	h.startApp("com.x.other")
	for range n {
		h.happen()
		h.check()
	}
	h.cooperate()
	h.leave()
}

// hangUp ends what this run started, whatever became of it.
func (h *history) hangUp() {
	h.w.reg.Close()
	h.rests.Wait()
}

// failf ends the run.
func (h *history) failf(format string, args ...any) {
	h.t.Helper()
	h.t.Fatalf(format, args...)
}

func (h *history) note(format string, args ...any) {
	h.story = append(h.story, fmt.Sprintf(time.Now().Format("04:05.000 ")+format, args...))
}

// settle lets everything happen that now can: messages arrive, peers obey.
func (h *history) settle() {
	for {
		synctest.Wait()
		busy := h.glassesRead()
		for _, pkg := range players {
			busy = h.appReads(pkg) || busy
		}
		busy = h.webhooks() || busy
		if !busy {
			return
		}
	}
}

// send delivers a frame and lets it have its effect. An ended session takes no
// more, which the peer's closed socket tells it.
func (h *history) send(link receiver, frame string) {
	h.note("  %s", frame)
	_ = link.Receive(h.w.ctx, []byte(frame))
	h.settle()
}

// pass lets time pass, with everybody awake.
func (h *history) pass(d time.Duration) {
	h.note("%v pass", d)
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(min(time.Until(end), time.Second))
		h.settle()
	}
}

// webhooks lets asked app servers connect: a fresh process takes the place of
// the one that was.
func (h *history) webhooks() bool {
	h.mu.Lock()
	if h.slow && time.Since(h.askedAt) < 5*time.Second {
		h.mu.Unlock()
		return false
	}
	asked := h.asked
	h.asked = nil
	slices.Sort(asked) // they come from goroutines, in no order
	h.mu.Unlock()
	for _, pkg := range asked {
		h.note("%s is asked to connect", pkg)
		if old := h.procs[pkg]; old != nil && old.away.IsZero() { // SDKs say so on the old socket first
			_ = old.link.Receive(h.w.ctx, []byte(`{"type":"ownership_release","reason":"switching_clouds"}`))
			h.late = append(h.late, old.link)
		}
		h.attach(pkg, &process{open: map[camera.Kind]bool{}, since: map[camera.Kind]time.Time{}, orphan: true, doubt: h.forgot[pkg]})
		delete(h.forgot, pkg)
	}
	return len(asked) > 0
}

// attach connects a process; a refusal is its end.
func (h *history) attach(pkg string, p *process) bool {
	p.socket, p.read = &fakeSocket{}, 0
	hello := AppHello{SessionID: wearer + "-" + pkg, Package: pkg, Mini: styles[pkg].mini}
	link, err := h.w.reg.AttachApp(h.w.ctx, hello, p.socket)
	if err != nil {
		h.note("%s is refused: %v", pkg, err)
		delete(h.procs, pkg)
		return false
	}
	p.link, p.away = link, time.Time{}
	delete(h.released, pkg)
	h.procs[pkg] = p
	return true
}

// appReads lets an app take in what it was sent.
func (h *history) appReads(pkg string) bool {
	p := h.procs[pkg]
	if p == nil || !p.away.IsZero() {
		return false
	}
	p.socket.mu.Lock()
	frames, code := p.socket.frames[p.read:], p.socket.code
	p.read = len(p.socket.frames)
	p.socket.mu.Unlock()
	for _, m := range frames {
		h.told(pkg, p, m)
	}
	if code == 0 {
		return len(frames) > 0
	}
	h.note("%s is closed: %d", pkg, code)
	p.link.Gone(h.w.ctx)
	h.late = append(h.late, p.link)
	if code != closeNormal { // it comes back, if it may
		p.away = time.Now()
		return true
	}
	for k, open := range p.open {
		if open {
			h.failf("%s was stopped and believes in a %s stream", pkg, k)
		}
	}
	delete(h.procs, pkg)
	return true
}

// told is an app hearing a message.
func (h *history) told(pkg string, p *process, m message) {
	typ, status := m.str("type"), m.str("status")
	var k camera.Kind
	switch typ {
	case "managed_stream_status":
		k = camera.Managed
	case "stream_status", "rtmp_stream_status":
		k = camera.Direct
		if typ != styles[pkg].status {
			h.failf("%s was sent a %s", pkg, typ)
		}
	default:
		return
	}
	h.note("    %s: %s %s %s", pkg, k, status, m.str("message"))
	if !p.open[k] && p.doubt { // the cloud forgot that it had ended
		p.open[k] = true
	}
	if !p.open[k] {
		h.failf("%s told %s %s and has nothing open", pkg, k, status)
	}
	if m.str("sessionId") != wearer+"-"+pkg {
		h.failf("%s told with session %q", pkg, m.str("sessionId"))
	}
	switch status {
	case protocol.StatusStopped, protocol.StatusError, protocol.StatusTimeout:
		p.open[k] = false
		delete(p.since, k)
	case protocol.StatusActive:
		delete(p.since, k)
		if k == camera.Managed && (m.str("hlsUrl") == "" || m.str("dashUrl") == "") {
			h.failf("%s is active without URLs", pkg)
		}
	}
}

// glassesRead lets the phone and the glasses take in what they were sent.
func (h *history) glassesRead() bool {
	if h.phone == nil {
		return false
	}
	h.screen.mu.Lock()
	frames, code := h.screen.frames[h.read:], h.screen.code
	h.read = len(h.screen.frames)
	h.screen.mu.Unlock()
	for _, m := range frames {
		id := m.str("streamId")
		switch m.str("type") {
		case "start_stream":
			h.note("    glasses start %s", id)
			if h.connected {
				if h.running != "" {
					h.past = append(h.past, h.running)
				}
				h.running = id
			}
		case "stop_stream":
			h.note("    glasses stop %s", id)
			if h.connected && h.running == id {
				h.running = ""
				h.past = append(h.past, id)
			}
		case "keep_stream_alive":
			if h.acks && h.connected && h.running == id {
				_ = h.phone.Receive(h.w.ctx, fmt.Appendf(nil, `{"type":"keep_alive_ack","streamId":%q,"ackId":%q}`, id, m.str("ackId")))
			}
		}
	}
	if code != 0 {
		h.losePhone()
	}
	return len(frames) > 0 || code != 0
}

func (h *history) losePhone() {
	h.phone.Gone(h.w.ctx)
	h.oldPhones = append(h.oldPhones, h.phone)
	h.phone = nil
}

// connectPhone brings a phone; one that is there is superseded.
func (h *history) connectPhone() {
	if h.phone != nil {
		h.oldPhones = append(h.oldPhones, h.phone)
		h.running = "" // other glasses
	}
	h.screen, h.read = &fakeSocket{}, 0
	link, err := h.w.reg.AttachPhone(h.w.ctx, wearer, base, h.screen)
	if err != nil {
		h.failf("phone: %v", err)
	}
	h.phone = link
	h.glassesState(true)
}

func (h *history) glassesState(connected bool) {
	h.connected = connected
	status := map[bool]string{true: "CONNECTED", false: "DISCONNECTED"}[connected]
	h.send(h.phone, `{"type":"glasses_connection_state","modelName":"Mentra Live","status":"`+status+`","wifi":{"connected":true}}`)
}

// startApp is the wearer's or the operator's wish that an app runs.
func (h *history) startApp(pkg string) {
	if h.phone != nil {
		h.send(h.phone, `{"type":"start_app","packageName":"`+pkg+`"}`)
		return
	}
	reg := h.w.reg
	h.rests.Go(func() { _ = reg.StartApp(h.w.ctx, wearer, pkg, base) }) // may be refused
	h.settle()
}

func (h *history) stopApp(pkg string) {
	if h.phone != nil {
		h.send(h.phone, `{"type":"stop_app","packageName":"`+pkg+`"}`)
		return
	}
	_ = h.w.reg.StopApp(h.w.ctx, wearer, pkg) // may be refused
	h.settle()
}

// camera returns the session's camera; a wearer without a session has none.
func (h *history) camera() (state camera.State) {
	if s := h.w.reg.lookup(wearer); s != nil {
		_ = s.do(h.w.ctx, func() { state = s.camera }) // an ended session has none
	}
	return state
}

// media returns the ingest that is open, if any.
func (h *history) media() (spec IngestSpec, ok bool) {
	h.w.streams.mu.Lock()
	defer h.w.streams.mu.Unlock()
	if len(h.w.streams.open) > 1 {
		h.failf("%d ingests are open", len(h.w.streams.open))
	}
	for _, spec = range h.w.streams.open {
		h.opened[spec.StreamID] = spec
		return spec, true
	}
	return spec, false
}
