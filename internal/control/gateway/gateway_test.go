package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"glimpse/internal/control/apps"
	"glimpse/internal/control/camera"
	"glimpse/internal/control/session"
	"glimpse/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	user = "me-too@example.com"
	pkg  = "com.wire.app"
	key  = "wire-key-app"

	otherPkg = "com.wire.other"
)

// fakes behind the sessions.
type fakeApps struct{}

func (fakeApps) App(p string) (apps.App, bool) {
	return apps.App{Package: p, Permissions: []string{"CAMERA"}}, p == pkg || p == otherPkg
}

func (fakeApps) CheckKey(p, k string) bool { return (p == pkg || p == otherPkg) && k == key }

func (fakeApps) CoreUser(token string) (string, error) {
	switch token {
	case "good":
		return strings.ToUpper(user), nil
	case "nobody":
		return "", nil
	}
	return "", errors.New("bad")
}

type fakeStreams struct{}

func (fakeStreams) Open(session.IngestSpec) (session.Ingest, error) { return fakeIngest{}, nil }
func (fakeStreams) PushURL(_, key string, _ []string) string        { return "rtmp://127.0.0.1/live/" + key }
func (fakeStreams) WatchURLs(base, id string) protocol.URLs {
	return protocol.URLs{HLS: base + "/live/" + id + "/index.m3u8", DASH: base + "/live/" + id + "/index.mpd"}
}

type fakeIngest struct{}

func (fakeIngest) Close(string)               {}
func (fakeIngest) SetOutputs([]camera.Outlet) {}

// hooks hands webhooks to the test.
type hooks struct {
	mu     sync.Mutex
	starts []protocol.SessionRequest
	asked  chan protocol.SessionRequest
}

func (h *hooks) Start(_ context.Context, _ apps.App, req protocol.SessionRequest) error {
	h.mu.Lock()
	h.starts = append(h.starts, req)
	h.mu.Unlock()
	h.asked <- req
	return nil
}

func (h *hooks) Stop(context.Context, apps.App, protocol.StopRequest) error { return nil }

// edge is a gateway on a loopback listener.
type edge struct {
	t     *testing.T
	gw    *Gateway
	reg   *session.Registry
	url   string
	hooks *hooks
}

func newEdge(t *testing.T, cfg Config) *edge {
	t.Helper()
	h := &hooks{asked: make(chan protocol.SessionRequest, 16)}
	log := slog.New(slog.DiscardHandler)
	reg := session.New(session.Deps{Apps: fakeApps{}, Webhooks: h, Streams: fakeStreams{}}, session.Config{}, log)
	gw := New(reg, fakeApps{}, fakeApps{}, cfg, log)
	mux := http.NewServeMux()
	mux.HandleFunc("/app-ws", gw.ServeApp)
	mux.HandleFunc("/glasses-ws", gw.ServeGlasses)
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		reg.Close()
		gw.Close()
		server.Close()
	})
	return &edge{t: t, gw: gw, reg: reg, url: "ws" + strings.TrimPrefix(server.URL, "http"), hooks: h}
}

// client is a peer's end of a websocket.
type client struct {
	t  *testing.T
	ws *websocket.Conn
}

func (e *edge) dial(path string, header http.Header) *client {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), 10*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, e.url+path, &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		e.t.Fatal(err)
	}
	ws.SetReadLimit(limitAfter)
	e.t.Cleanup(func() { _ = ws.CloseNow() })
	return &client{e.t, ws}
}

func (e *edge) phone() *client {
	e.t.Helper()
	c := e.dial("/glasses-ws?token=good", nil)
	c.until("connection_ack")
	c.send(`{"type":"glasses_connection_state","modelName":"Mentra Live","status":"CONNECTED","wifi":{"connected":true}}`)
	return c
}

func (c *client) send(frame string) {
	c.t.Helper()
	if err := c.ws.Write(c.t.Context(), websocket.MessageText, []byte(frame)); err != nil {
		c.t.Fatal(err)
	}
}

// next reads one message; it fails the test after ten seconds.
func (c *client) next() (map[string]any, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	_, frame, err := c.ws.Read(ctx)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	return m, json.Unmarshal(frame, &m)
}

// until reads up to the first message of a type.
func (c *client) until(typ string) map[string]any {
	c.t.Helper()
	for {
		m, err := c.next()
		if err != nil {
			c.t.Fatalf("waiting for %s: %v", typ, err)
		}
		if m["type"] == typ {
			return m
		}
	}
}

// ended reads until the socket closes and returns the code.
func (c *client) ended() (code websocket.StatusCode, reason string) {
	c.t.Helper()
	for {
		_, err := c.next()
		if err == nil {
			continue
		}
		var closed websocket.CloseError
		if !errors.As(err, &closed) {
			c.t.Fatalf("socket ended without a close code: %v", err)
		}
		return closed.Code, closed.Reason
	}
}

// started makes pkg requested: its webhook has gone out.
func (e *edge) started(phone *client) protocol.SessionRequest {
	e.t.Helper()
	phone.send(`{"type":"start_app","packageName":"` + pkg + `","timestamp":"2026-11-20T23:08:42.700Z"}`)
	return <-e.hooks.asked
}

// The four SDK styles' handshakes, as recorded (WIRE a.2, a.8).
func TestHandshakes(t *testing.T) {
	mini := http.Header{
		"X-User-Id": {user}, "X-Session-Id": {user + "-" + pkg}, "X-Package-Name": {pkg}, "X-Api-Key": {key},
	}
	noSession := mini.Clone()
	noSession.Del("X-Session-Id")
	full := `{"type":"tpa_connection_init","sessionId":"` + user + `-` + pkg + `","packageName":"` + pkg + `","apiKey":"` + key + `","timestamp":"2026-11-20T23:08:42.700Z"}`
	for _, c := range []struct {
		name   string
		header http.Header
		frame  string
	}{
		{"AppServer", nil, full},
		{"MiniAppServer", mini, `{"type":"tpa_connection_init","packageName":"` + pkg + `","apiKey":"` + key + `","sdkVersion":"3.0.0-hono.8","timestamp":"2026-11-20T23:09:21.063Z"}`},
		{"MiniAppServer without a session header", noSession, `{"type":"tpa_connection_init","packageName":"` + pkg + `","apiKey":"` + key + `","sdkVersion":"3.0.0-hono.8"}`},
		{"MiniAppServer reconnecting", mini, `{"type":"reconnect","sessionId":"` + user + `-` + pkg + `","sdkVersion":"3.0.0-hono.8","timestamp":"2026-11-20T23:09:21.063Z"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEdge(t, Config{})
			phone := e.phone()
			if req := e.started(phone); req.WebsocketURL != e.url+"/app-ws" {
				t.Errorf("webhook says %s, the phone came by %s", req.WebsocketURL, e.url)
			}
			app := e.dial("/app-ws", c.header)
			app.send(c.frame)
			ack, err := app.next()
			if err != nil || ack["type"] != "tpa_connection_ack" {
				t.Fatalf("first answer %v, %v", ack, err)
			}
			for _, name := range []string{"mentraosSettings", "augmentosSettings"} {
				settings, _ := ack[name].(map[string]any)
				permissions, _ := settings["permissions"].(map[string]any)
				if permissions["camera"] != true || permissions["microphone"] != false {
					t.Errorf("%s: %v", name, settings)
				}
			}
			if ack["sessionId"] != user+"-"+pkg || ack["settings"] == nil {
				t.Errorf("ack %v", ack)
			}
			if c, _ := ack["capabilities"].(map[string]any); c["hasCamera"] != true || c["modelName"] != "Mentra Live" {
				t.Errorf("capabilities %v", c)
			}
			state, err := app.next()
			if err != nil || state["type"] != "device_state_update" || state["fullSnapshot"] != true {
				t.Errorf("second answer %v, %v", state, err)
			}
		})
	}
}

// A MiniAppServer does not wait for the acknowledgement: what follows its init
// is handled in order, none is dropped.
func TestFramesBeforeTheAck(t *testing.T) {
	e := newEdge(t, Config{})
	phone := e.phone()
	e.started(phone)
	app := e.dial("/app-ws", http.Header{"X-User-Id": {user}, "X-Session-Id": {user + "-" + pkg}})
	for _, frame := range []string{
		`{"type":"tpa_connection_init","packageName":"` + pkg + `","apiKey":"` + key + `","sdkVersion":"3.0.0-hono.8"}`,
		`{"type":"display_event","packageName":"` + pkg + `","view":"main","layout":{"layoutType":"text_wall","text":"early"}}`,
		`{"type":"stream_request","streamUrl":"rtmp://dest.example/live/key"}`,
		`{"type":"stream_status_check","requestId":"r7"}`,
	} {
		app.send(frame)
	}
	var order []string
	for len(order) == 0 || order[len(order)-1] != "stream_status_check_response" {
		m, err := app.next()
		if err != nil {
			t.Fatalf("after %v: %v", order, err)
		}
		order = append(order, m["type"].(string))
	}
	want := "tpa_connection_ack device_state_update stream_status stream_status_check_response"
	if got := strings.Join(order, " "); got != want {
		t.Errorf("answers %s, want %s", got, want)
	}
	if text := phone.until("display_event"); text["layout"].(map[string]any)["text"] != "early" {
		t.Errorf("glasses show %v", text)
	}
	if start := phone.until("start_stream"); start["streamUrl"] != "rtmp://dest.example/live/key" {
		t.Errorf("glasses are told %v", start)
	}
}

func TestRefusals(t *testing.T) {
	init := func(session, p, k, more string) string {
		return `{"type":"tpa_connection_init","sessionId":"` + session + `","packageName":"` + p + `","apiKey":"` + k + `"` + more + `}`
	}
	for _, c := range []struct {
		name, frame   string
		typ, code     string
		closing       websocket.StatusCode
		withSession   bool
		upgradeHeader http.Header
	}{
		{name: "bad key", frame: init(user+"-"+pkg, pkg, "wrong-key", ""), typ: "tpa_connection_error", code: "INVALID_API_KEY", closing: 1008, withSession: true},
		{name: "unknown package", frame: init(user+"-x", "x", key, ""), typ: "tpa_connection_error", code: "INVALID_API_KEY", closing: 1008},
		{name: "not started", frame: init(user+"-"+pkg, pkg, key, ""), typ: "tpa_connection_error", code: "APP_NOT_STARTED", closing: 1000},
		{name: "not started, mini", frame: init(user+"-"+pkg, pkg, key, `,"sdkVersion":"3.0.0-hono.8"`), typ: "reconnect_rejected", code: "NOT_RUNNING", closing: 1000},
		{
			name: "not started, mini reconnecting", typ: "reconnect_rejected", code: "NOT_RUNNING", closing: 1000,
			frame:         `{"type":"reconnect","sessionId":"` + user + `-` + pkg + `","sdkVersion":"3.0.0-hono.8"}`,
			upgradeHeader: http.Header{"X-Api-Key": {key}, "X-Package-Name": {pkg}},
		},
		{name: "another user's session", frame: init("you@example.com-"+pkg, pkg, key, ""), typ: "tpa_connection_error", code: "APP_NOT_STARTED", closing: 1000, withSession: true},
		{name: "no init first", frame: `{"type":"ping"}`, typ: "tpa_connection_error", code: "MALFORMED_MESSAGE", closing: 1002},
		{name: "no JSON", frame: `hello`, typ: "tpa_connection_error", code: "MALFORMED_MESSAGE", closing: 1002},
		{name: "deep JSON", frame: strings.Repeat("[", 60000), typ: "tpa_connection_error", code: "MALFORMED_MESSAGE", closing: 1002},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEdge(t, Config{})
			if c.withSession {
				e.started(e.phone())
			}
			app := e.dial("/app-ws", c.upgradeHeader)
			app.send(c.frame)
			m, err := app.next()
			if err != nil || m["type"] != c.typ || m["code"] != c.code || m["message"] == "" || m["timestamp"] == nil {
				t.Errorf("answer %v, %v", m, err)
			}
			if code, _ := app.ended(); code != c.closing {
				t.Errorf("closed with %d, want %d", code, c.closing)
			}
		})
	}
}

func TestPhoneRefusals(t *testing.T) {
	e := newEdge(t, Config{})
	for _, c := range []struct{ query, bearer, message string }{
		{"", "", "No core token provided"},
		{"?token=bad", "", "Invalid core token"},
		{"", "bad", "Invalid core token"},
		{"", "nobody", "Invalid core token - no user ID"},
	} {
		header := http.Header{}
		if c.bearer != "" {
			header.Set("Authorization", "Bearer "+c.bearer)
		}
		_, resp, err := websocket.Dial(t.Context(), e.url+"/glasses-ws"+c.query, &websocket.DialOptions{HTTPHeader: header})
		if err == nil {
			t.Fatal("upgraded without a token")
		}
		var body map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusUnauthorized || body["type"] != "connection_error" || body["message"] != c.message {
			t.Errorf("token %q%q: %d %v, want %q", c.query, c.bearer, resp.StatusCode, body, c.message)
		}
	}
}

// Before the init at most 64 KiB and a limited time; after it 1 MiB.
func TestBounds(t *testing.T) {
	t.Run("big first frame", func(t *testing.T) {
		app := newEdge(t, Config{}).dial("/app-ws", nil)
		app.send(`{"type":"tpa_connection_init","apiKey":"` + strings.Repeat("k", limitBefore) + `"}`)
		if code, _ := app.ended(); code != websocket.StatusMessageTooBig {
			t.Errorf("closed with %d", code)
		}
	})
	t.Run("silent socket", func(t *testing.T) {
		app := newEdge(t, Config{AuthTimeout: 50 * time.Millisecond}).dial("/app-ws", nil)
		if code, _ := app.ended(); code != websocket.StatusTryAgainLater {
			t.Errorf("closed with %d", code)
		}
	})
	t.Run("big later frame", func(t *testing.T) {
		phone := newEdge(t, Config{}).phone()
		phone.send(`{"type":"ping","pad":"` + strings.Repeat("p", limitAfter-100) + `"}`)
		phone.until("pong")
		phone.send(`{"type":"ping","pad":"` + strings.Repeat("p", limitAfter) + `"}`)
		if code, _ := phone.ended(); code != websocket.StatusMessageTooBig {
			t.Errorf("closed with %d", code)
		}
	})
	t.Run("too many wrong keys", func(t *testing.T) {
		e := newEdge(t, Config{})
		e.started(e.phone())
		var code websocket.StatusCode
		for range badKeys + 1 {
			app := e.dial("/app-ws", nil)
			app.send(`{"type":"tpa_connection_init","sessionId":"` + user + `-` + pkg + `","packageName":"` + pkg + `","apiKey":"guess"}`)
			code, _ = app.ended()
		}
		if code != websocket.StatusTryAgainLater {
			t.Errorf("guess %d was closed with %d", badKeys+1, code)
		}
	})
}

// A peer that answers no ping is gone.
func TestDeadPeer(t *testing.T) {
	e := newEdge(t, Config{PingInterval: 20 * time.Millisecond, PhoneIdle: 50 * time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	silent := &websocket.DialOptions{OnPingReceived: func(context.Context, []byte) bool { return false }}
	ws, _, err := websocket.Dial(ctx, e.url+"/glasses-ws?token=good", silent)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	c := &client{t, ws}
	if code, _ := c.ended(); code != websocket.StatusGoingAway {
		t.Errorf("closed with %d", code)
	}
}

// A peer whose connection is dead without a word does not count as there.
func TestHalfOpenPeer(t *testing.T) {
	e := newEdge(t, Config{PingInterval: 20 * time.Millisecond, PhoneIdle: 50 * time.Millisecond})
	e.dial("/glasses-ws?token=good", nil) // and never reads: no pong, no close
	began := time.Now()
	for e.gw.Stats().Phones == 0 || !e.reg.Snapshots(t.Context())[0].Phone {
		if time.Since(began) > 10*time.Second {
			t.Fatal("the phone never came")
		}
		<-time.After(5 * time.Millisecond)
	}
	for e.gw.Stats().Phones != 0 || e.reg.Snapshots(t.Context())[0].Phone {
		if time.Since(began) > 4*time.Second {
			t.Fatal("a dead phone is still there")
		}
		<-time.After(5 * time.Millisecond)
	}
}

// FuzzAppInit reads anything as a first frame.
func FuzzAppInit(f *testing.F) {
	f.Add([]byte(`{"type":"tpa_connection_init","sessionId":"a-b","packageName":"b","apiKey":"k","timestamp":1}`), "a", "s", "p", "k")
	f.Add([]byte(`{"type":"reconnect","sdkVersion":"3"}`), "A@B.c", "", "p", "")
	f.Add([]byte(`[{"a":[[[]]]}]`), "", "", "", "")
	f.Fuzz(func(t *testing.T, frame []byte, u, s, p, k string) {
		var init protocol.AppInit
		if session.Decode(frame, &init) != nil {
			return
		}
		h := http.Header{"X-User-Id": {u}, "X-Session-Id": {s}, "X-Package-Name": {p}, "X-Api-Key": {k}}
		hello, key, _ := identify(&init, h)
		if init.SessionID != "" && hello.SessionID != init.SessionID || init.APIKey != "" && key != init.APIKey {
			t.Errorf("a header overrode the frame: %+v", hello)
		}
	})
}

// A newer phone supersedes the older one (CONTROL.md "Sessions" 4).
func TestSupersededPhone(t *testing.T) {
	e := newEdge(t, Config{})
	old := e.phone()
	e.phone()
	if m := old.until("connection_error"); m["message"] != "superseded by another device" {
		t.Errorf("told %v", m)
	}
	if code, reason := old.ended(); code != websocket.StatusNormalClosure || reason != "superseded by another device" {
		t.Errorf("closed with %d %q", code, reason)
	}
}

// The end of the server is 1012 on every socket, and nobody is told that
// anything stopped.
func TestRestart(t *testing.T) {
	e := newEdge(t, Config{})
	phone := e.phone()
	e.started(phone)
	app := e.dial("/app-ws", nil)
	app.send(`{"type":"tpa_connection_init","sessionId":"` + user + `-` + pkg + `","packageName":"` + pkg + `","apiKey":"` + key + `"}`)
	app.until("tpa_connection_ack")
	app.send(`{"type":"managed_stream_request"}`)
	phone.until("start_stream")
	app.until("managed_stream_status")
	go e.reg.Close()
	for name, c := range map[string]*client{"app": app, "phone": phone} {
		for {
			m, err := c.next()
			if err == nil {
				switch m["type"] {
				case "app_stopped", "stop_stream", "managed_stream_status":
					t.Errorf("%s was told %v", name, m)
				}
				continue
			}
			if code := websocket.CloseStatus(err); code != websocket.StatusServiceRestart {
				t.Errorf("%s closed with %d (%v)", name, code, err)
			}
			break
		}
	}
}

// Unknown types are ignored and a pong comes only as an answer.
func TestUnknownTypes(t *testing.T) {
	e := newEdge(t, Config{})
	phone := e.phone()
	e.started(phone)
	app := e.dial("/app-ws", nil)
	app.send(`{"type":"tpa_connection_init","sessionId":"` + user + `-` + pkg + `","packageName":"` + pkg + `","apiKey":"` + key + `"}`)
	app.until("device_state_update")
	for _, c := range []*client{app, phone} {
		for _, frame := range []string{
			`{"type":"dashboard_mode_change"}`, `{"type":7}`, `[]`, `nonsense`, `{}`, `{"type":"location_poll_request","n":1}`,
			`{"type":"display_event","layout":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`,
		} {
			c.send(frame)
		}
		c.send(`{"type":"ping"}`)
	}
	if m, err := app.next(); err != nil || m["type"] != "pong" {
		t.Errorf("app got %v, %v, want the pong alone", m, err)
	}
	phone.until("pong")
}

// A server on its way down refuses nobody for good.
func TestComeBackLater(t *testing.T) {
	e := newEdge(t, Config{})
	e.started(e.phone())
	e.reg.Close()
	app := e.dial("/app-ws", nil)
	app.send(`{"type":"tpa_connection_init","sessionId":"` + user + `-` + pkg + `","packageName":"` + pkg + `","apiKey":"` + key + `"}`)
	phone := e.dial("/glasses-ws?token=good", nil)
	for name, c := range map[string]*client{"app": app, "phone": phone} {
		if m, err := c.next(); websocket.CloseStatus(err) != websocket.StatusServiceRestart {
			t.Errorf("%s got %v, %v", name, m, err)
		}
	}
}
