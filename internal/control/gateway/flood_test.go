package gateway

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"glimpse/internal/control/events"
)

// FAULTS 1: no compression, so no message is larger than its bytes on the wire.
func TestNoCompression(t *testing.T) {
	e := newEdge(t, Config{})
	for _, path := range []string{"/app-ws", "/glasses-ws?token=good"} {
		ws, res, err := websocket.Dial(t.Context(), e.url+path, &websocket.DialOptions{CompressionMode: websocket.CompressionContextTakeover})
		if err != nil {
			t.Fatal(err)
		}
		if got := res.Header.Get("Sec-WebSocket-Extensions"); got != "" {
			t.Errorf("%s agrees to %q", path, got)
		}
		_ = ws.CloseNow()
	}
}

// FAULTS 1: the bounds of sockets, unless they are configured.
func TestDefaults(t *testing.T) {
	want := Config{
		AuthTimeout: 5 * time.Second, PingInterval: 10 * time.Second, AppIdle: 120 * time.Second, PhoneIdle: 30 * time.Second,
		WriteTimeout: 10 * time.Second, QueueBytes: 2 << 20,
	}
	if got := (Config{}).withDefaults(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if limitBefore != 64<<10 || limitAfter != 1<<20 {
		t.Errorf("messages of %d and %d bytes", limitBefore, limitAfter)
	}
}

// An app that reads nothing loses its socket, with 1013 and an event; the other
// app of the same wearer gets every message, in order, and the phone stays.
//
// FAULTS 1
func TestSlowAppHurtsNobody(t *testing.T) {
	news := events.New(64, time.Now)
	e := newEdge(t, Config{
		QueueBytes: 1 << 20, WriteTimeout: 2 * time.Second, Events: news,
		PingInterval: time.Hour, // the phone of this test reads nothing and so answers none
	})
	follow, err := news.Subscribe(events.Filter{Types: []string{string(events.SocketSlow)}}, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer follow.Close()
	phone := e.phone()
	connect := func(p string) *client {
		phone.send(`{"type":"start_app","packageName":"` + p + `"}`)
		<-e.hooks.asked
		app := e.dial("/app-ws", nil)
		app.send(`{"type":"tpa_connection_init","sessionId":"` + user + `-` + p + `","packageName":"` + p + `","apiKey":"` + key + `"}`)
		app.send(`{"type":"subscription_update","subscriptions":["button_press"]}`)
		app.send(`{"type":"ping"}`)
		app.until("pong")
		return app
	}
	connect(pkg) // reads nothing from now on
	fast := connect(otherPkg)
	pad := strings.Repeat("p", 256<<10)
	n := 0
	for ; e.gw.Stats().Overflow == 0; n++ {
		if n == 400 {
			t.Fatal("100 MB wait for an app that reads nothing")
		}
		phone.send(fmt.Sprintf(`{"type":"button_press","buttonId":"%d","pad":"%s"}`, n, pad))
		m := fast.until("data_stream")
		if data, _ := m["data"].(map[string]any); data["buttonId"] != fmt.Sprint(n) {
			t.Fatalf("the other app got %v at %d", data["buttonId"], n)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if batch, err := follow.Next(ctx); err != nil || batch[0].App != pkg || batch[0].Wearer != user {
		t.Errorf("told %+v, %v", batch, err)
	}
	phone.send(`{"type":"button_press","buttonId":"last"}`)
	fast.until("data_stream")
	if st := e.gw.Stats(); st.Overflow != 1 || st.Phones != 1 {
		t.Errorf("stats %+v", st)
	}
}
