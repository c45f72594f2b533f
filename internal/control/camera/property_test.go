package camera

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"glimpse/protocol"

	"pgregory.net/rapid"
)

// TestHistories drives the camera with random histories beside a world of its
// own: app processes that believe what they are told, glasses that do what they
// are told (or not), and the set of who holds what, kept by other means than
// the camera's. -rapid.checks=10000 runs more of them.
//
// A4 A8 A13 A15 A16 B33 B40 B41 C18 C30 C38 D14
func TestHistories(t *testing.T) {
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		if err := flag.Set("rapid.checks", "1000"); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = flag.Set("rapid.checks", f.DefValue) }()
	}
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt)
		for range rapid.IntRange(1, 200).Draw(rt, "events") {
			w.happen()
			w.check()
		}
		w.cooperate()
		w.leave()
	})
}

// process is an app's process and its SDK's belief about its streams.
type process struct {
	away  bool
	open  map[Kind]bool      // a stream is wanted or running, as far as it knows
	since map[Kind]time.Time // a request that was not active yet
}

func newProcess() *process {
	return &process{open: map[Kind]bool{}, since: map[Kind]time.Time{}}
}

type world struct {
	t     *rapid.T
	state State
	now   time.Time
	ids   int
	past  []string

	apps      map[string]*process
	holders   map[string]Kind // who holds, by what was answered; orphans too
	answering string          // app and kind whose request is being handled: it may be told once
	began     map[string]int  // holds that began and ended, by app
	ingest    string          // open
	viewers   int

	running string // on the glasses
	acks    bool
}

var names = []string{"com.a", "com.b", "com.c"}

func newWorld(t *rapid.T) *world {
	w := &world{
		t: t, state: New(DefaultTimes()), now: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC),
		apps: map[string]*process{}, holders: map[string]Kind{}, began: map[string]int{}, acks: true,
	}
	w.state.Times.ResumeWindow = time.Duration(rapid.SampledFrom([]int{60, 60, 0, 10, 1800}).Draw(t, "window")) * time.Second
	for _, n := range names {
		w.apps[n] = newProcess()
	}
	w.step(Device{PhoneUp: true, GlassesConnected: true, HasCamera: true})
	return w
}

func (w *world) failf(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf(format, args...)
}

// step makes a step, performs its effects and ticks nothing.
func (w *world) step(e Event) {
	w.t.Logf("%s %T %+v", w.now.Format("15:04:05.000"), e, e)
	var effects []Effect
	w.state, effects = Step(w.state, e, w.now)
	if next := Next(w.state); !next.IsZero() && !next.After(w.now) {
		w.failf("next %v is not after %v", next, w.now)
	}
	var acks []Event
	for _, eff := range effects {
		w.t.Logf("    %T %+v", eff, eff)
		switch eff := eff.(type) {
		case TellDirect:
			w.told(eff.App, Direct, eff.Status.Status)
		case TellManaged:
			w.told(eff.App, Managed, eff.Status.Status)
			if s := eff.Status.Status; s == protocol.StatusActive && eff.PlaybackID == "" {
				w.failf("active without URLs")
			}
		case StartGlasses:
			w.mustReach(e)
			if m := eff.IngestKey != ""; m && w.ingest != eff.Start.StreamID {
				w.failf("glasses start %s, ingest open for %q", eff.Start.StreamID, w.ingest)
			}
			w.running = eff.Start.StreamID
		case StopGlasses:
			if !w.state.Device.PhoneUp {
				w.failf("stop sent without a phone")
			}
			if w.state.reachable() && w.running == eff.StreamID {
				w.running = ""
			}
		case KeepAlive:
			w.mustReach(e)
			if w.acks && w.running == eff.StreamID {
				acks = append(acks, KeepAliveAcked(eff))
			}
		case OpenIngest:
			if w.ingest != "" {
				w.failf("two ingests")
			}
			w.ingest, w.viewers = eff.IDs.StreamID, 0
		case CloseIngest:
			if w.ingest != eff.StreamID {
				w.failf("closed %s, open is %q", eff.StreamID, w.ingest)
			}
			w.ingest = ""
		case Note:
			w.noted(eff)
		}
	}
	for _, a := range acks {
		w.step(a)
	}
}

func (w *world) mustReach(e Event) {
	if !w.state.reachable() {
		w.failf("%T: glasses told what they cannot hear", e)
	}
}

func (w *world) noted(n Note) {
	switch n.What {
	case HoldBegan:
		w.began[n.App]++
		w.holders[n.App] = n.Kind
	case HoldEnded:
		w.began[n.App]--
		if p := w.apps[n.App]; !p.away && p.open[n.Kind] && w.holders[n.App] == n.Kind {
			w.failf("%s's hold ended and it was not told", n.App)
		}
		delete(w.holders, n.App)
	}
	if b := w.began[n.App]; b != 0 && b != 1 {
		w.failf("%s has %d holds", n.App, b)
	}
}

// told is an app hearing a status.
func (w *world) told(app string, k Kind, status string) {
	p := w.apps[app]
	answering := w.answering == app+k.String()
	switch {
	case p.away:
		w.failf("%s told %s while away", app, status)
	case !p.open[k] && !answering:
		w.failf("%s told %s %s and holds nothing", app, k, status)
	}
	switch status {
	case protocol.StatusStopped, protocol.StatusError, protocol.StatusTimeout:
		p.open[k] = false
		delete(p.since, k)
		if w.holders[app] == k { // its hold must end in this step
			delete(w.holders, app)
		}
		if answering {
			w.answering = ""
		}
	case protocol.StatusActive, protocol.StatusReconnecting: // it was live, perhaps while the app was away
		delete(p.since, k)
	}
}

// advance lets time pass, ticking when the camera wants it.
func (w *world) advance(d time.Duration) {
	end := w.now.Add(d)
	for {
		next := Next(w.state)
		if next.IsZero() || next.After(end) {
			break
		}
		w.now = next
		w.step(Tick{})
	}
	w.now = end
}

func (w *world) request(app string, k Kind, e Event) {
	w.answering = app + k.String()
	w.step(e)
	if w.answering != "" && !w.apps[app].open[k] {
		w.failf("%s's request was not answered", app)
	}
	w.answering = ""
}

// happen is one random thing.
func (w *world) happen() {
	app := rapid.SampledFrom(names).Draw(w.t, "app")
	p := w.apps[app]
	d := w.state.Device
	op := rapid.IntRange(0, 23).Draw(w.t, "op")
	if p.away && op < 8 { // no socket, no request
		op = 8
	}
	switch op {
	case 0, 1, 2, 3, 4:
		w.ask(app, p)
	case 5, 6, 7:
		k := rapid.SampledFrom([]Kind{Direct, Managed}).Draw(w.t, "kind")
		if k == Managed && w.holders[app] == Managed { // told after 40 ms, also when an earlier process began it
			p.open[k] = true
		}
		w.request(app, k, Stop{App: app, Kind: k})
	case 8:
		if p.away {
			same := rapid.Bool().Draw(w.t, "same process")
			p.away = false
			if !same {
				*p = *newProcess()
			}
			w.step(AppBack{App: app, SameProcess: same})
			break
		}
		w.step(AppAway{App: app})
		p.away = true
	case 9:
		w.step(AppLeft{App: app, Reason: "left"})
		w.apps[app] = newProcess()
	case 10:
		d.PhoneUp = !d.PhoneUp
		w.step(d)
	case 11:
		d.GlassesConnected = !d.GlassesConnected
		w.step(d)
	case 12:
		d.PhoneUp, d.NewPhone = true, true
		w.step(d)
	case 13:
		w.acks = !w.acks
	case 14:
		w.running = "" // without a word
	case 15, 16, 17:
		w.glassesReport()
	case 18:
		w.step(MediaLost{StreamID: w.ingest, Silent: time.Duration(rapid.IntRange(0, 6).Draw(w.t, "silent")) * time.Second})
	case 19:
		if w.ingest != "" {
			w.viewers = rapid.IntRange(0, 3).Draw(w.t, "viewers")
			w.step(Viewers{StreamID: w.ingest, N: w.viewers})
		}
	case 20:
		switch rapid.IntRange(0, 5).Draw(w.t, "end") {
		case 0:
			w.step(IngestFailed{StreamID: w.ingest, Reason: "broken"})
		case 1:
			w.step(OperatorEnded{StreamID: w.ingest})
		case 2:
			w.step(SessionEnded{Reason: "over"})
			for _, p := range w.apps { // the apps' sessions are over too
				if p.away {
					*p = *newProcess()
				}
			}
		}
	default:
		ms := rapid.SampledFrom([]int{1, 39, 41, 900, 2100, 6000, 11_000, 16_000, 61_000, 3_700_000}).Draw(w.t, "ms")
		w.advance(time.Duration(ms) * time.Millisecond)
	}
}

// ask is a start request of an app.
func (w *world) ask(app string, p *process) {
	k := rapid.SampledFrom([]Kind{Direct, Managed, Managed}).Draw(w.t, "kind")
	permitted := rapid.IntRange(0, 9).Draw(w.t, "permission") > 0
	p.open[k], p.since[k] = true, w.now
	w.ids++
	id := fmt.Sprintf("%c%d", "?sm"[k], w.ids)
	w.past = append(w.past, id)
	o := Options{}
	if rapid.IntRange(0, 3).Draw(w.t, "limited") == 0 {
		o.Stream = []byte(`{"durationLimit":20}`)
	}
	if k == Direct {
		url := rapid.SampledFrom([]string{"rtmp://h/k", "rtmp://h/k", "rtmp://h/k", "nonsense"}).Draw(w.t, "url")
		w.request(app, k, StartDirect{App: app, IDs: IDs{StreamID: id}, URL: url, Options: o, Permitted: permitted, Running: true})
	} else {
		w.request(app, k, StartManaged{App: app, IDs: IDs{id, "k" + id, "p" + id}, Options: o, Permitted: permitted, Running: true})
	}
	if p.open[k] {
		w.holders[app] = k
	}
}

// glassesReport is a status of the glasses, true or late, with or without an id.
func (w *world) glassesReport() {
	if !w.state.reachable() {
		return
	}
	say := func(id string, statuses ...string) {
		status := rapid.SampledFrom(statuses).Draw(w.t, "status")
		if over(status) && id == w.running {
			w.running = ""
		}
		if rapid.IntRange(0, 4).Draw(w.t, "no id") == 0 {
			id = ""
		}
		why := rapid.SampledFrom([]string{"", "", "Network error", "battery too low"}).Draw(w.t, "why")
		w.step(GlassesSaid{StreamID: id, Status: status, ErrorDetails: why})
	}
	all := []string{
		"initializing", "connecting", "streaming", "active", "reconnecting", "reconnected",
		"disconnected", "stopping", "stopped", "error", "reconnect_failed", "timeout", "flying",
	}
	switch {
	case rapid.IntRange(0, 3).Draw(w.t, "late") == 0 && len(w.past) > 0:
		if id := rapid.SampledFrom(w.past).Draw(w.t, "past"); id != w.running {
			say(id, "stopping", "stopped")
			w.step(KeepAliveAcked{StreamID: id, AckID: "1"})
		}
	case w.running != "" && w.running == w.ingest && rapid.Bool().Draw(w.t, "media"):
		w.step(MediaLive{StreamID: w.ingest})
	case w.running != "":
		say(w.running, all...)
	}
}

// check looks at what must always hold.
func (w *world) check() {
	st := w.state.Stream
	have := map[string]Kind{}
	if st != nil {
		for _, h := range st.Holds {
			have[h.App] = st.Kind
		}
		if len(have) != len(st.Holds) || len(have) == 0 || (st.Kind == Direct && len(have) != 1) {
			w.failf("holds %+v of a %s stream", st.Holds, st.Kind)
		}
	}
	if !maps.Equal(have, w.holders) {
		w.failf("holders %v, want %v", have, w.holders)
	}
	if (st != nil && st.Kind == Managed) != (w.ingest != "") {
		w.failf("ingest %q", w.ingest)
	}
	info, _ := Check(w.state)
	if info != nil && info.ActiveViewers != nil && *info.ActiveViewers != w.viewers {
		w.failf("%d viewers, want %d", *info.ActiveViewers, w.viewers)
	}
	for n, p := range w.apps {
		for k, since := range p.since {
			if !p.away && w.now.Sub(since) >= 24*time.Second {
				w.failf("%s waits %v for its %s stream", n, w.now.Sub(since), k)
			}
		}
		for k, open := range p.open {
			if open && !p.away && w.holders[n] != k {
				w.failf("%s believes in a %s stream that is not", n, k)
			}
		}
	}
	if len(w.state.Past) > maxPast {
		w.failf("%d past streams", len(w.state.Past))
	}
}

// cooperate lets everybody do what is asked: the camera and the glasses agree
// after a while.
func (w *world) cooperate() {
	w.acks = true
	w.step(Device{PhoneUp: true, GlassesConnected: true, HasCamera: true})
	for range 20 {
		w.advance(5 * time.Second)
		if w.running != "" {
			w.step(GlassesSaid{StreamID: w.running, Status: protocol.StatusStreaming})
		}
		switch {
		case w.ingest == "":
		case w.running == w.ingest:
			w.step(MediaLive{StreamID: w.ingest})
		default:
			w.step(MediaLost{StreamID: w.ingest})
		}
		w.check()
	}
	want := ""
	if w.state.Stream != nil {
		want = w.state.Stream.ID
	}
	if w.running != want {
		w.failf("the glasses run %q, wanted is %q", w.running, want)
	}
}

// leave ends all apps: nothing is left anywhere.
func (w *world) leave() {
	for _, n := range slices.Sorted(maps.Keys(w.apps)) {
		w.step(AppLeft{App: n})
		w.apps[n] = newProcess()
		w.check()
	}
	w.advance(time.Second)
	if w.state.Stream != nil || w.running != "" || w.ingest != "" || len(w.holders) > 0 || len(w.state.Away) > 0 {
		w.failf("left over: %+v, glasses %q, ingest %q, holders %v", w.state, w.running, w.ingest, w.holders)
	}
	for n, b := range w.began {
		if b != 0 {
			w.failf("%s's hold never ended", n)
		}
	}
	if next := Next(w.state); !next.IsZero() {
		w.failf("a free camera wants a tick at %v", next)
	}
}
