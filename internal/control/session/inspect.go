package session

import (
	"context"
	"maps"
	"slices"

	"glimpse/internal/control/camera"
	"glimpse/protocol"
)

// Snapshot is what can be said of a wearer's session at one moment.
type Snapshot struct {
	User    string
	Phone   bool     // a phone socket is up
	Glasses bool     // the phone says that the glasses are connected
	Model   string   // of the glasses, "" when unknown
	Battery *float64 // percent, nil when unknown
	Apps    []string // packages that are connected, sorted
	Stream  string   // id of the stream, "" without one
}

// Snapshots describes every session that is not ending, ordered by user.
func (r *Registry) Snapshots(ctx context.Context) []Snapshot {
	r.mu.Lock()
	users := slices.Sorted(maps.Keys(r.sessions))
	r.mu.Unlock()
	var list []Snapshot
	for _, user := range users {
		s := r.lookup(user)
		if s == nil {
			continue
		}
		var snap Snapshot
		if s.do(ctx, func() { snap = s.snapshot() }) == nil {
			list = append(list, snap)
		}
	}
	return list
}

func (s *Session) snapshot() Snapshot {
	snap := Snapshot{User: s.user, Phone: s.device.phone, Glasses: s.device.connected, Model: s.device.model}
	if s.device.battery != nil {
		level := s.device.battery.Level
		snap.Battery = &level
	}
	snap.Apps, _ = s.appNames()
	if info, _ := camera.Check(s.camera); info != nil {
		snap.Stream = info.StreamID
	}
	return snap
}

// EndStream ends a user's stream by the operator's wish: every holder is told
// once. A stream that is not there is no error.
func (r *Registry) EndStream(ctx context.Context, user, streamID string) error {
	s := r.lookup(user)
	if s == nil {
		return nil
	}
	return s.do(ctx, func() { s.step(camera.OperatorEnded{StreamID: streamID}) })
}

// ChangeOutput changes the restream destinations of a user's managed stream, and
// returns when the media plane has been told. Refusals are *Refusal, with the
// codes of WIRE b.3.
func (r *Registry) ChangeOutput(ctx context.Context, user string, change camera.ChangeOutput) error {
	refused := &Refusal{Code: protocol.CodeStreamNotFound, Text: "There is no such managed stream"}
	s := r.lookup(user)
	if s == nil {
		return refused
	}
	err := s.do(ctx, func() {
		refused.Code, refused.Text = camera.MayChange(s.camera, change)
		if refused.Code == "" {
			s.step(change)
		}
	})
	if err == nil && refused.Code != "" {
		return refused
	}
	return err
}
