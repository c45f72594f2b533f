package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"glimpse/internal/memnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cloud is a fake cloud that a test speaks for.
type cloud struct {
	t     *testing.T
	app   *App
	conns chan *socket
	away  atomic.Bool // answers 503
}

// socket is one connection of the app.
type socket struct {
	t  *testing.T
	ws *websocket.Conn
	in chan map[string]any // closed when the app has closed
	// code is why; valid after in is closed
	code websocket.StatusCode
}

// run makes an app and a cloud in a synctest bubble and hands the cloud to f.
func run(t *testing.T, onSession func(context.Context, *Session) error, f func(t *testing.T, c *cloud)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{t: t, conns: make(chan *socket, 8)}
		net := memnet.New(0)
		srv := &http.Server{Handler: http.HandlerFunc(c.serve)}
		go srv.Serve(net)
		app, err := New(Config{
			Package: "com.example.app", APIKey: "key-12345", OnSession: onSession,
			Logger:     slog.New(slog.DiscardHandler),
			HTTPClient: &http.Client{Transport: &http.Transport{DialContext: net.Dial, DisableKeepAlives: true}},
		})
		if err != nil {
			t.Fatal(err)
		}
		c.app = app
		defer synctest.Wait()
		defer srv.Close()
		defer app.Close()
		f(t, c)
	})
}

func (c *cloud) serve(w http.ResponseWriter, r *http.Request) {
	if c.away.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	s := &socket{t: c.t, ws: ws, in: make(chan map[string]any, 100)}
	c.conns <- s
	defer close(s.in)
	for {
		_, b, err := ws.Read(context.Background())
		if err != nil {
			s.code = websocket.CloseStatus(err)
			ws.CloseNow()
			return
		}
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			c.t.Errorf("the app sent %s: %v", b, err)
		}
		s.in <- m
	}
}

// webhook posts a webhook and returns the answer's code and body.
func (c *cloud) webhook(body string) (int, string) {
	r := httptest.NewRequest(http.MethodPost, "/webhook", bytes.NewReader([]byte(body)))
	w := httptest.NewRecorder()
	c.app.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

const sessionRequest = `{"type":"session_request","sessionId":"me@x-com.example.app","userId":"me@x",
	"websocketUrl":"ws://cloud/app-ws","mentraOSWebsocketUrl":"ws://cloud/app-ws","augmentOSWebsocketUrl":"ws://cloud/app-ws"}`

// start starts a session as a cloud does and returns its acknowledged socket.
func (c *cloud) start() *socket {
	c.t.Helper()
	answered := make(chan int, 1)
	go func() {
		code, _ := c.webhook(sessionRequest)
		answered <- code
	}()
	s := c.accept()
	if code := <-answered; code != http.StatusOK {
		c.t.Fatalf("webhook answered %d", code)
	}
	return s
}

// accept waits for a connection and acknowledges its init.
func (c *cloud) accept() *socket {
	c.t.Helper()
	s := <-c.conns
	m := s.expect("tpa_connection_init")
	if m["sessionId"] != "me@x-com.example.app" || m["packageName"] != "com.example.app" || m["apiKey"] != "key-12345" {
		c.t.Errorf("init %v", m)
	}
	s.send(`{"type":"tpa_connection_ack","settings":[],"capabilities":{"modelName":"Simulated Live","hasCamera":true}}`)
	s.send(`{"type":"device_state_update","state":{"connected":true,"modelName":"Simulated Live","batteryLevel":88,"wifiConnected":true,"wifiSsid":"lab"},"fullSnapshot":true}`)
	s.expectSubscriptions("managed_stream_status", "stream_status")
	return s
}

func (s *socket) send(text string) {
	s.t.Helper()
	if err := s.ws.Write(context.Background(), websocket.MessageText, []byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *socket) next() map[string]any {
	s.t.Helper()
	select {
	case m, ok := <-s.in:
		if !ok {
			s.t.Fatalf("the app closed the connection: %v", s.code)
		}
		return m
	case <-time.After(5 * time.Minute):
		s.t.Fatal("the app says nothing")
		return nil
	}
}

func (s *socket) expect(kind string) map[string]any {
	s.t.Helper()
	m := s.next()
	if m["type"] != kind {
		s.t.Fatalf("the app sent %v, want %s", m, kind)
	}
	return m
}

func (s *socket) expectSubscriptions(want ...string) {
	s.t.Helper()
	m := s.expect("subscription_update")
	got, _ := m["subscriptions"].([]any)
	if len(got) != len(want) {
		s.t.Fatalf("subscriptions %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			s.t.Fatalf("subscriptions %v, want %v", got, want)
		}
	}
}

// closed waits until the app has closed the connection.
func (s *socket) closed() websocket.StatusCode {
	s.t.Helper()
	for range s.in {
	}
	return s.code
}
