package server

import (
	"context"
	"encoding/json"

	"glimpse/internal/control/apps"
	"glimpse/internal/control/session"
	"glimpse/internal/control/tap"
	"glimpse/protocol"
)

// tappedWebhooks shows webhooks to those who watch a wearer: why an app did not
// start is seen nowhere on its websocket.
type tappedWebhooks struct {
	next session.Webhooks
	taps *tap.Bus
}

var _ session.Webhooks = tappedWebhooks{}

// Start implements session.Webhooks.
func (w tappedWebhooks) Start(ctx context.Context, app apps.App, req protocol.SessionRequest) error {
	w.sent(req.UserID, app, req)
	return w.answered(req.UserID, app, w.next.Start(ctx, app, req))
}

// Stop implements session.Webhooks.
func (w tappedWebhooks) Stop(ctx context.Context, app apps.App, req protocol.StopRequest) error {
	w.sent(req.UserID, app, req)
	return w.answered(req.UserID, app, w.next.Stop(ctx, app, req))
}

func (w tappedWebhooks) sent(user string, app apps.App, message any) {
	if !w.taps.Active() {
		return
	}
	frame, err := json.Marshal(message)
	if err != nil { // the caller will hear of it
		return
	}
	w.taps.Report(user, tap.Event{Kind: tap.Message, From: tap.Cloud, To: tap.App, Package: app.Package}, frame)
}

// answered shows a failure and hands it on.
func (w tappedWebhooks) answered(user string, app apps.App, err error) error {
	if err != nil && w.taps.Active() {
		w.taps.Report(user, tap.Event{Kind: tap.Refused, From: tap.App, To: tap.Cloud, Package: app.Package, Reason: err.Error()}, nil)
	}
	return err
}
