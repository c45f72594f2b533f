package server

import (
	"context"
	"errors"
	"strings"
	"testing"

	"glimpse/internal/control/apps"
	"glimpse/internal/control/tap"
	"glimpse/protocol"
)

// brokenHooks fail for a reason.
type brokenHooks struct{ err error }

func (b brokenHooks) Start(context.Context, apps.App, protocol.SessionRequest) error { return b.err }
func (b brokenHooks) Stop(context.Context, apps.App, protocol.StopRequest) error     { return nil }

// Who watches a wearer sees webhooks and why they failed; the result is the same.
func TestTappedWebhooks(t *testing.T) {
	bus := tap.New()
	broken := errors.New("webhook session_request: dial http://u:pass@h/x: refused")
	w := tappedWebhooks{brokenHooks{broken}, bus}
	app := apps.App{Package: "com.x"}
	if err := w.Start(t.Context(), app, protocol.SessionRequest{UserID: "a"}); !errors.Is(err, broken) {
		t.Errorf("without a watcher: %v", err)
	}
	watch, err := bus.Watch("a")
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Close()
	if err := w.Start(t.Context(), app, protocol.SessionRequest{Type: protocol.WebhookSession, UserID: "a"}); !errors.Is(err, broken) {
		t.Errorf("with one: %v", err)
	}
	if err := w.Stop(t.Context(), app, protocol.StopRequest{Type: protocol.WebhookStop, UserID: "a", Reason: "user_disabled"}); err != nil {
		t.Error(err)
	}
	events, err := watch.Next(t.Context())
	if err != nil || len(events) != 3 {
		t.Fatalf("%+v, %v", events, err)
	}
	if e := events[0]; e.Type != "session_request" || e.From != tap.Cloud || e.To != tap.App || e.Package != "com.x" {
		t.Errorf("asked: %+v", e)
	}
	if e := events[1]; e.Kind != tap.Refused || e.From != tap.App || strings.Contains(e.Reason, "pass") || !strings.Contains(e.Reason, "refused") {
		t.Errorf("failed: %+v", e)
	}
	if e := events[2]; e.Type != "stop_request" || !strings.Contains(string(e.Body), "user_disabled") {
		t.Errorf("stopped: %+v", e)
	}
}
