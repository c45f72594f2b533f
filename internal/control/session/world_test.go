package session

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"glimpse/internal/control/apps"
	"glimpse/internal/control/camera"
	"glimpse/internal/control/events"
	"glimpse/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	wearer = "user-a@example.com" // with a hyphen: ids must not be split
	base   = "http://cloud.example:8002"
)

// message is a frame as a peer reads it.
type message map[string]any

func (m message) str(key string) string { s, _ := m[key].(string); return s }

// fakeSocket records what a session sends.
type fakeSocket struct {
	mu     sync.Mutex
	frames []message
	binary int
	code   int
	reason string
	onSend func(message)
}

func (f *fakeSocket) Send(frame []byte) {
	var m message
	if err := json.Unmarshal(frame, &m); err != nil {
		panic(err)
	}
	f.mu.Lock()
	f.frames = append(f.frames, m)
	f.mu.Unlock()
	if f.onSend != nil {
		f.onSend(m)
	}
}

func (f *fakeSocket) Offer(frame []byte) { f.Send(frame) }

func (f *fakeSocket) SendBinary([]byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.binary++
}

func (f *fakeSocket) Close(code int, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.code == 0 {
		f.code, f.reason = code, reason
	}
}

func (f *fakeSocket) closed() (int, string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.code, f.reason
}

// got returns the messages of a type since the last call of forget.
func (f *fakeSocket) got(typ string) []message {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []message
	for _, m := range f.frames {
		if m.str("type") == typ {
			found = append(found, m)
		}
	}
	return found
}

func (f *fakeSocket) types() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var types []string
	for _, m := range f.frames {
		types = append(types, m.str("type"))
	}
	return types
}

func (f *fakeSocket) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frames = nil
}

// fakeApps, fakeHooks and fakeStreams stand in for what a session acts on.
type fakeApps map[string]apps.App

func (f fakeApps) App(pkg string) (apps.App, bool) { a, ok := f[pkg]; return a, ok }

type fakeHooks struct {
	mu      sync.Mutex
	starts  []protocol.SessionRequest
	stops   []protocol.StopRequest
	onStart func(context.Context, protocol.SessionRequest) error
	onStop  func(context.Context, protocol.StopRequest) error
}

func (f *fakeHooks) Start(ctx context.Context, _ apps.App, req protocol.SessionRequest) error {
	f.mu.Lock()
	f.starts = append(f.starts, req)
	do := f.onStart
	f.mu.Unlock()
	if do != nil {
		return do(ctx, req)
	}
	return nil
}

func (f *fakeHooks) Stop(ctx context.Context, _ apps.App, req protocol.StopRequest) error {
	f.mu.Lock()
	f.stops = append(f.stops, req)
	do := f.onStop
	f.mu.Unlock()
	if do != nil {
		return do(ctx, req)
	}
	return nil
}

func (f *fakeHooks) counts() (starts, stops int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.starts), len(f.stops)
}

type fakeStreams struct {
	mu   sync.Mutex
	open map[string]IngestSpec
	sent map[string][]camera.Outlet // the newest SetOutputs by streamId
	fail bool
	ways []string // that were asked for last
}

type fakeIngest struct {
	streams *fakeStreams
	id      string
}

func (f *fakeStreams) Open(spec IngestSpec) (Ingest, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail {
		return nil, errors.New("no room")
	}
	f.open[spec.StreamID] = spec
	return &fakeIngest{f, spec.StreamID}, nil
}

func (i *fakeIngest) Close(string) {
	i.streams.mu.Lock()
	defer i.streams.mu.Unlock()
	delete(i.streams.open, i.id)
}

func (i *fakeIngest) SetOutputs(list []camera.Outlet) {
	i.streams.mu.Lock()
	defer i.streams.mu.Unlock()
	if i.streams.sent == nil {
		i.streams.sent = map[string][]camera.Outlet{}
	}
	i.streams.sent[i.id] = list
}

func (f *fakeStreams) PushURL(_, key string, ways []string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ways = ways
	return "rtmp://cloud.example/live/" + key
}

func (f *fakeStreams) WatchURLs(base, id string) protocol.URLs {
	at := base + "/live/" + id + "/"
	return protocol.URLs{HLS: at + "index.m3u8", DASH: at + "index.mpd", WebRTC: at + "whep", Preview: at, Thumbnail: at + "thumbnail.jpg"}
}

// only returns the one open ingest.
func (f *fakeStreams) only(t *testing.T) IngestSpec {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.open) != 1 {
		t.Fatalf("%d ingests are open, want 1", len(f.open))
	}
	return slices.Collect(maps.Values(f.open))[0]
}

// world is a registry with fakes around it, inside a synctest bubble.
type world struct {
	t       *testing.T
	ctx     context.Context
	reg     *Registry
	apps    fakeApps
	hooks   *fakeHooks
	streams *fakeStreams
	events  *events.Log
}

// deps are the fakes, with a store when there is one.
func (w *world) deps(store Store) Deps {
	return Deps{Apps: w.apps, Webhooks: w.hooks, Streams: w.streams, Store: store, Events: w.events}
}

// inWorld runs a test with a fake clock.
func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			t: t, ctx: t.Context(), hooks: &fakeHooks{}, streams: &fakeStreams{open: make(map[string]IngestSpec)},
			apps: fakeApps{
				"com.x.app":   {Package: "com.x.app", URL: "http://app", Permissions: []string{"CAMERA", "MICROPHONE"}},
				"com.x.other": {Package: "com.x.other", URL: "http://other", Permissions: []string{"ALL"}},
				"com.x.blind": {Package: "com.x.blind", URL: "http://blind"},
			},
		}
		w.events = events.New(events.DefaultSize, time.Now)
		w.reg = New(w.deps(nil), Config{}, slog.New(slog.DiscardHandler))
		defer func() { w.reg.Close() }() // the last one, after a restart
		test(t, w)
	})
}

// phone connects the wearer's phone with glasses on Wi-Fi.
func (w *world) phone() (*PhoneLink, *fakeSocket) {
	w.t.Helper()
	socket := &fakeSocket{}
	link, err := w.reg.AttachPhone(w.ctx, wearer, base, socket)
	if err != nil {
		w.t.Fatal(err)
	}
	w.say(link, `{"type":"glasses_connection_state","modelName":"Mentra Live","status":"CONNECTED","wifi":{"connected":true,"ssid":"lab"},"timestamp":1795216665395}`)
	return link, socket
}

type receiver interface {
	Receive(ctx context.Context, frame []byte) error
}

// say delivers frames of a peer and waits until they have had their effect.
func (w *world) say(link receiver, frames ...string) {
	w.t.Helper()
	for _, frame := range frames {
		if err := link.Receive(w.ctx, []byte(frame)); err != nil {
			w.t.Fatal(err)
		}
	}
	synctest.Wait()
}

// run starts an app from the phone and connects it.
func (w *world) run(phone *PhoneLink, pkg string, mini bool) (*AppLink, *fakeSocket) {
	w.t.Helper()
	w.say(phone, `{"type":"start_app","packageName":"`+pkg+`"}`)
	return w.connect(pkg, mini)
}

// connect is an app's init.
func (w *world) connect(pkg string, mini bool) (*AppLink, *fakeSocket) {
	w.t.Helper()
	socket := &fakeSocket{}
	link, err := w.reg.AttachApp(w.ctx, AppHello{SessionID: wearer + "-" + pkg, Package: pkg, Mini: mini}, socket)
	if err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
	return link, socket
}

// last is the newest message of a type.
func last(t *testing.T, f *fakeSocket, typ string) message {
	t.Helper()
	all := f.got(typ)
	if len(all) == 0 {
		t.Fatalf("no %s was sent; sent: %s", typ, strings.Join(f.types(), " "))
	}
	return all[len(all)-1]
}
