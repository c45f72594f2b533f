package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"glimpse/internal/memnet"
	"glimpse/protocol"
	"glimpse/sdk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A46 A47
func TestHealthArithmetic(t *testing.T) {
	for _, tc := range []struct {
		stats protocol.Stats
		ok    bool
		want  float64
		log   string
		text  string
	}{
		{protocol.Stats{DroppedFrames: 0, FPS: 30, Duration: 10}, true, 0, "", ""},
		{protocol.Stats{DroppedFrames: 15, FPS: 30, Duration: 10}, true, 5, "", ""}, // exactly 5 % is no warning
		{
			protocol.Stats{DroppedFrames: 16, FPS: 30, Duration: 10}, true, 5.333333333333334,
			"⚠️ High drop rate: 5.3%", "⚠️ Poor connection\n\nDropped frames: 5.3%",
		},
		{
			protocol.Stats{DroppedFrames: 300, FPS: 30, Duration: 10}, true, 100,
			"⚠️ High drop rate: 100.0%", "⚠️ Poor connection\n\nDropped frames: 100.0%",
		},
		{protocol.Stats{DroppedFrames: 3, FPS: 0, Duration: 10}, false, 0, "", ""},
		{protocol.Stats{DroppedFrames: 3, FPS: 30, Duration: 0}, false, 0, "", ""},
		{protocol.Stats{DroppedFrames: -3, FPS: 30, Duration: 10}, false, 0, "", ""},
		{protocol.Stats{DroppedFrames: 1e300, FPS: 1e-300, Duration: 1e-300}, false, 0, "", ""},
	} {
		got, ok := DropRate(tc.stats)
		if ok != tc.ok || got != tc.want {
			t.Errorf("%+v: %v %v; want %v %v", tc.stats, got, ok, tc.want, tc.ok)
		}
		if log, text := warning(got); log != tc.log || text != tc.text {
			t.Errorf("%+v: %q %q", tc.stats, log, text)
		}
	}
}

// A43 A44 C49
func TestHeard(t *testing.T) {
	for _, tc := range []struct {
		text  string
		final bool
		want  order
	}{
		{"stop stream", true, orderStop},
		{" Please STOP Stream now. ", true, orderStop},
		{"end stream", true, orderStop},
		{"stream status", true, orderStatus},
		{"start stream", true, orderStart},
		{"Clip that!", true, orderClip},
		{"stop stream", false, orderNone},
		{"stop the stream", true, orderNone},
		{"", true, orderNone},
	} {
		if got := heard(protocol.Transcription{Text: tc.text, IsFinal: tc.final}); got != tc.want {
			t.Errorf("%q (final %v): %d, want %d", tc.text, tc.final, got, tc.want)
		}
	}
}

// C44
func TestStatusTexts(t *testing.T) {
	for _, tc := range []struct {
		st   sdk.Status
		want string
	}{
		{sdk.Status{State: "initializing"}, "📡 Initializing stream..."},
		{sdk.Status{State: "preparing"}, "🔄 Preparing stream..."},
		{sdk.Status{State: "active", URLs: protocol.URLs{HLS: "http://x/index.m3u8"}}, "🟢 Stream Live!\n\nHLS: http://x/index.m3u8\n\nShare with viewers!"},
		{sdk.Status{State: "stopping"}, "🟡 Stopping stream..."},
		{sdk.Status{State: "stopped"}, "🔴 Stream stopped"},
		{sdk.Status{State: "error", Message: "Network error"}, "❌ Stream Error\n\nNetwork error"},
		{sdk.Status{State: "error"}, "❌ Stream Error\n\nUnknown error"},
		{sdk.Status{State: "reconnecting"}, ""},
	} {
		if got := statusText(tc.st); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.st.State, got, tc.want)
		}
	}
}

// cloud is what a test speaks for.
type cloud struct {
	t     *testing.T
	ws    *websocket.Conn
	texts chan string // shown on the glasses
	sent  chan string // types of the app's other messages, without subscriptions
	stats atomic.Pointer[protocol.Stats]
}

func (c *cloud) send(text string) {
	c.t.Helper()
	if err := c.ws.Write(context.Background(), websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cloud) expect(ch <-chan string, want ...string) {
	c.t.Helper()
	for _, w := range want {
		select {
		case got := <-ch:
			if got != w {
				c.t.Fatalf("got %q, want %q", got, w)
			}
		case <-time.After(time.Minute):
			c.t.Fatalf("nothing in a minute, want %q", w)
		}
	}
}

func (c *cloud) say(text string) {
	c.send(`{"type":"data_stream","streamType":"transcription:en-US","data":{"type":"transcription","isFinal":true,"text":"` + text + `"}}`)
}

func (c *cloud) serve(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer ws.CloseNow()
	c.ws = ws
	for {
		_, b, err := ws.Read(context.Background())
		if err != nil {
			return
		}
		var m struct {
			Type      string
			RequestID string
			Layout    protocol.TextWall
		}
		if err := json.Unmarshal(b, &m); err != nil {
			c.t.Error(err)
		}
		switch m.Type {
		case "tpa_connection_init":
			c.send(`{"type":"tpa_connection_ack","settings":[]}`)
		case "display_event":
			c.texts <- m.Layout.Text
		case "stream_status_check":
			stats, _ := json.Marshal(c.stats.Load())
			c.send(`{"type":"stream_status_check_response","requestId":"` + m.RequestID + `","hasActiveStream":true,
				"streamInfo":{"type":"managed","streamId":"m1","status":"active","stats":` + string(stats) + `}}`)
		case "subscription_update":
		default:
			c.sent <- m.Type
		}
	}
}

// wearApp runs the demo app with one wearer in a synctest bubble.
func wearApp(t *testing.T, f func(t *testing.T, c *cloud, logs *bytes.Buffer)) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{t: t, texts: make(chan string, 100), sent: make(chan string, 100)}
		net := memnet.New(0)
		srv := &http.Server{Handler: http.HandlerFunc(c.serve)}
		go srv.Serve(net)
		logs := new(bytes.Buffer)
		app, err := sdk.New(sdk.Config{
			Package: appPackage, APIKey: "k", Logger: slog.New(slog.DiscardHandler),
			OnSession:  onSession(slog.New(slog.NewTextHandler(logs, nil)), func(protocol.URLs) {}, func(string) {}),
			HTTPClient: &http.Client{Transport: &http.Transport{DialContext: net.Dial, DisableKeepAlives: true}},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer synctest.Wait()
		defer srv.Close()
		defer app.Close()
		r := httptest.NewRequest(http.MethodPost, "/webhook",
			strings.NewReader(`{"type":"session_request","sessionId":"s","userId":"u","websocketUrl":"ws://cloud/app-ws"}`))
		w := httptest.NewRecorder()
		if app.ServeHTTP(w, r); w.Code != http.StatusOK {
			t.Fatalf("webhook: %d", w.Code)
		}
		f(t, c, logs)
	})
}

const (
	initializing = `{"type":"managed_stream_status","status":"initializing","streamId":"m1"}`
	active       = `{"type":"managed_stream_status","status":"active","streamId":"m1","hlsUrl":"http://x/index.m3u8","dashUrl":"http://x/index.mpd"}`
	stopped      = `{"type":"managed_stream_status","status":"stopped","streamId":"m1"}`
	textLive     = "🟢 Stream Live!\n\nHLS: http://x/index.m3u8\n\nShare with viewers!"
)

// The app listens before it starts, shows what happens, checks the health every
// ten seconds and stops when it is told to.
// A27 A43 A44 A45 A47 C41 C42 C44 C49
func TestAppStreamsWatchesAndStops(t *testing.T) {
	wearApp(t, func(t *testing.T, c *cloud, logs *bytes.Buffer) {
		c.expect(c.texts, "⏳ Starting stream...")
		c.expect(c.sent, "managed_stream_request")
		c.say("stream status")
		c.expect(c.texts, "No active stream")
		c.send(initializing)
		c.expect(c.texts, "📡 Initializing stream...")
		c.send(active)
		c.expect(c.texts, textLive)
		synctest.Wait()
		c.say("stream status")
		c.expect(c.texts, "Stream Status: active")

		began := time.Now()
		c.stats.Store(&protocol.Stats{FPS: 30, DroppedFrames: 14, Duration: 10})
		time.Sleep(11 * time.Second)
		if len(c.texts) != 0 {
			t.Errorf("warned of 4.7 %%: %s", <-c.texts)
		}
		c.stats.Store(&protocol.Stats{FPS: 30, DroppedFrames: 45, Duration: 10})
		c.expect(c.texts, "⚠️ Poor connection\n\nDropped frames: 15.0%")
		if d := time.Since(began); d > 20*time.Second || d <= 10*time.Second {
			t.Errorf("checked after %v", d)
		}
		c.stats.Store(&protocol.Stats{FPS: 30, Duration: 10})

		c.say("please stop stream")
		c.expect(c.texts, "🛑 Stopping stream...")
		c.expect(c.sent, "managed_stream_stop")
		c.send(stopped)
		c.expect(c.texts, "🛑 Stream stopped")
		time.Sleep(time.Minute)
		if len(c.sent) != 0 {
			t.Errorf("after the stop the app sent %s", <-c.sent)
		}
		c.say("start stream")
		c.expect(c.texts, "⏳ Starting stream...")
		c.expect(c.sent, "managed_stream_request")
	})
}

// A stream that fails is started again after five seconds.
// A42 B27 C45
func TestAppStartsAFailedStreamAgain(t *testing.T) {
	wearApp(t, func(t *testing.T, c *cloud, logs *bytes.Buffer) {
		c.expect(c.sent, "managed_stream_request")
		c.expect(c.texts, "⏳ Starting stream...")
		c.send(`{"type":"managed_stream_status","status":"error","streamId":"m1","message":"Already streaming: unmanaged stream already active"}`)
		began := time.Now()
		var shown []string
		for range 2 {
			shown = append(shown, <-c.texts)
		}
		if !strings.Contains(strings.Join(shown, "|"), "❌ Camera is busy\n\nAnother stream is active") {
			t.Errorf("shown %q", shown)
		}
		c.expect(c.sent, "managed_stream_request")
		if d := time.Since(began); d != restartAfter {
			t.Errorf("started again after %v", d)
		}
		c.expect(c.texts, "⏳ Starting stream...")
		c.send(active)
		c.expect(c.texts, textLive)
		c.send(`{"type":"managed_stream_status","status":"error","streamId":"m1","message":"Network: glasses disconnected"}`)
		c.expect(c.texts, "❌ Stream Error\n\nNetwork: glasses disconnected")
		began = time.Now()
		c.expect(c.sent, "managed_stream_request")
		if d := time.Since(began); d != restartAfter {
			t.Errorf("started again after %v", d)
		}
	})
}

// Whatever happens, the demo takes everything down and removes its folder.
func TestRunLeavesNothingBehind(t *testing.T) {
	var dir string
	err := Run(t.Context(), Config{Stdout: io.Discard, Start: func(_ context.Context, w Wanted) (*Cloud, error) {
		dir = w.DataDir
		if _, err := os.Stat(dir); err != nil {
			t.Error(err)
		}
		return nil, errors.New("no store")
	}})
	if err == nil || !strings.Contains(err.Error(), "start the cloud: no store") {
		t.Errorf("Run returned %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	cloudDown := false
	err = Run(ctx, Config{Stdout: io.Discard, Start: func(_ context.Context, w Wanted) (*Cloud, error) {
		dir = w.DataDir
		if w.Package != "com.example.demo" || len(w.APIKey) < 16 || w.User == "" {
			t.Errorf("wanted %+v", w)
		}
		resp, err := http.Post(w.AppURL+"/webhook", "application/json", strings.NewReader(`{"type":"stop_request"}`))
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("webhook: %v", err)
		} else {
			resp.Body.Close()
		}
		http.DefaultClient.CloseIdleConnections()
		return &Cloud{URL: web.URL, Token: "t", Run: func(ctx context.Context) error {
			cancel()
			<-ctx.Done()
			cloudDown = true
			return nil
		}}, nil
	}})
	if err != nil || !cloudDown {
		t.Errorf("Run returned %v, cloud down %v", err, cloudDown)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func TestFreeAddr(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken := ln.Addr().String()
	if got := freeAddr("tcp", taken); got != "127.0.0.1:0" {
		t.Errorf("taken address: %s", got)
	}
	ln.Close()
	if got := freeAddr("tcp", taken); got != taken {
		t.Errorf("free address: %s", got)
	}
}
