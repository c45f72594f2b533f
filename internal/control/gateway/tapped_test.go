package gateway

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"glimpse/internal/control/tap"
)

// watched collects a tap's events until one fits.
type watched struct {
	t   *testing.T
	tap *tap.Tap
	all []tap.Event
}

func (w *watched) until(what string, fits func(tap.Event) bool) tap.Event {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	for {
		for i, e := range w.all {
			if fits(e) {
				w.all = w.all[i+1:]
				return e
			}
		}
		more, err := w.tap.Next(ctx)
		if err != nil {
			w.t.Fatalf("no %s (%v); seen: %+v", what, err, w.all)
		}
		w.all = append(w.all, more...)
	}
}

func (w *watched) message(from, typ string) tap.Event {
	w.t.Helper()
	return w.until(typ, func(e tap.Event) bool { return e.Kind == tap.Message && e.From == from && e.Type == typ })
}

func (w *watched) kind(kind tap.Kind, from string) tap.Event {
	w.t.Helper()
	return w.until(string(kind), func(e tap.Event) bool { return e.Kind == kind && e.From == from })
}

// A watcher sees the wearer's phone and apps, both ways, refusals and closes,
// and no key.
func TestTapped(t *testing.T) {
	bus := tap.New()
	e := newEdge(t, Config{Taps: bus})
	watching, err := bus.Watch(user)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(watching.Close)
	w := &watched{t: t, tap: watching}

	phone := e.dial("/glasses-ws?token=good", nil)
	w.kind(tap.Connect, tap.Glasses)
	w.message(tap.Cloud, "connection_ack")
	phone.send(`{"type":"start_app","packageName":"` + pkg + `"}`)
	w.message(tap.Glasses, "start_app")
	req := <-e.hooks.asked
	if err := phone.ws.Write(t.Context(), websocket.MessageBinary, make([]byte, 640)); err != nil {
		t.Fatal(err)
	}
	if audio := w.message(tap.Glasses, tap.Binary); audio.Size != 640 || audio.Body != nil {
		t.Errorf("audio: %+v", audio)
	}

	bad := e.dial("/app-ws", nil)
	bad.send(`{"type":"tpa_connection_init","sessionId":"` + req.SessionID + `","packageName":"` + pkg + `","apiKey":"wrong-key-of-app"}`)
	if init := w.message(tap.App, "tpa_connection_init"); strings.Contains(string(init.Body), "wrong-key") {
		t.Errorf("init: %s", init.Body)
	}
	if r := w.kind(tap.Refused, tap.Cloud); r.Reason != "wrong API key" || r.Package != pkg || r.To != tap.App {
		t.Errorf("refused: %+v", r)
	}
	if c := w.kind(tap.Close, tap.Cloud); c.Code != int(websocket.StatusPolicyViolation) {
		t.Errorf("closed: %+v", c)
	}

	app := e.dial("/app-ws", nil)
	app.send(`{"type":"tpa_connection_init","sessionId":"` + req.SessionID + `","packageName":"` + pkg + `","apiKey":"` + key + `"}`)
	w.kind(tap.Connect, tap.App)
	if init := w.message(tap.App, "tpa_connection_init"); strings.Contains(string(init.Body), key) || init.Package != pkg {
		t.Errorf("init: %+v", init)
	}
	w.message(tap.Cloud, "tpa_connection_ack")
	app.send(`{"type":"display_event","layout":{"layoutType":"text_wall","text":"hello"}}`)
	w.message(tap.App, "display_event")
	if d := w.message(tap.Cloud, "display_event"); d.To != tap.Glasses || !strings.Contains(string(d.Body), "hello") {
		t.Errorf("display: %+v", d)
	}
	if err := app.ws.Close(websocket.StatusNormalClosure, "Client disconnect"); err != nil {
		t.Fatal(err)
	}
	if c := w.kind(tap.Close, tap.App); c.Code != 1000 || c.Reason != "Client disconnect" {
		t.Errorf("closed: %+v", c)
	}
	phone.ws.CloseNow()
	if c := w.kind(tap.Close, tap.Glasses); c.Code != int(websocket.StatusAbnormalClosure) {
		t.Errorf("broken: %+v", c)
	}
	for _, e := range w.all {
		if e.Kind == tap.Close {
			t.Errorf("told twice: %+v", e)
		}
	}
}

// Whoever is refused for a session that does not run is seen by its wearer's
// watcher; who names no session of anybody's is not.
func TestTappedStranger(t *testing.T) {
	bus := tap.New()
	e := newEdge(t, Config{Taps: bus})
	watching, err := bus.Watch("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(watching.Close)
	app := e.dial("/app-ws", http.Header{"X-Session-Id": {"x"}})
	app.send(`{"type":"tpa_connection_init","packageName":"` + strings.Repeat("p", 200) + `","apiKey":"` + key + `"}`)
	w := &watched{t: t, tap: watching}
	if r := w.kind(tap.Refused, tap.Cloud); r.Package != "" {
		t.Errorf("a stranger's text is a package: %+v", r)
	}
}
