package server

import (
	"context"
	"encoding/json"
	"math"

	"glimpse/internal/control/api"
	"glimpse/internal/control/session"
)

// wearers shows the sessions to the API.
type wearers struct{ sessions *session.Registry }

var _ api.Wearers = (*wearers)(nil)

// StartApp starts an app for a user.
func (w *wearers) StartApp(ctx context.Context, user, pkg, base string) error {
	return w.sessions.StartApp(ctx, user, pkg, base)
}

// StopApp stops it.
func (w *wearers) StopApp(ctx context.Context, user, pkg string) error {
	return w.sessions.StopApp(ctx, user, pkg)
}

// Wearers lists who has a session.
func (w *wearers) Wearers(ctx context.Context) []api.Wearer {
	var list []api.Wearer
	for _, s := range w.sessions.Snapshots(ctx) {
		wearer := api.Wearer{User: s.User, Phone: s.Phone, Glasses: s.Glasses, Model: s.Model, Apps: s.Apps, Stream: s.Stream}
		if s.Battery != nil {
			percent := int(math.Round(*s.Battery))
			wearer.Battery = &percent
		}
		list = append(list, wearer)
	}
	return list
}

// RunningApps lists what runs for a user.
func (w *wearers) RunningApps(ctx context.Context, user string) []string {
	return w.sessions.RunningApps(ctx, user)
}

// DeviceState takes what a user's phone says of the glasses.
func (w *wearers) DeviceState(ctx context.Context, user string, patch map[string]json.RawMessage) (map[string]any, error) {
	return w.sessions.UpdateDevice(ctx, user, patch)
}
