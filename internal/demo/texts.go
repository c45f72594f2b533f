package demo

import (
	"errors"
	"strings"

	"glimpse/protocol"
	"glimpse/sdk"
)

// What the wearer reads besides the statuses.
const (
	textStarting = "⏳ Starting stream..."
	textStopping = "🛑 Stopping stream..."
	textStopped  = "🛑 Stream stopped"
	textNone     = "No active stream"
	textNoClip   = "❌ No clip"
)

// statusText is what the wearer reads of a managed stream's status, in the
// documents' words; empty for statuses of which they say nothing.
func statusText(st sdk.Status) string {
	switch st.State {
	case protocol.StatusInitializing:
		return "📡 Initializing stream..."
	case protocol.StatusPreparing:
		return "🔄 Preparing stream..."
	case protocol.StatusActive:
		return "🟢 Stream Live!\n\nHLS: " + st.URLs.HLS + "\n\nShare with viewers!"
	case protocol.StatusStopping:
		return "🟡 Stopping stream..."
	case protocol.StatusStopped:
		return "🔴 Stream stopped"
	case protocol.StatusError, protocol.StatusTimeout:
		if st.Message == "" {
			return "❌ Stream Error\n\nUnknown error"
		}
		return "❌ Stream Error\n\n" + st.Message
	}
	return ""
}

// failureText is what the wearer reads when a start was refused.
func failureText(err error) string {
	switch {
	case errors.Is(err, sdk.ErrCameraBusy):
		return "❌ Camera is busy\n\nAnother stream is active"
	case errors.Is(err, sdk.ErrManagedActive):
		return "❌ Managed stream active\n\nStop managed stream first"
	}
	return "❌ Failed to start stream"
}

// order is what a wearer can ask the app for.
type order uint8

const (
	orderNone order = iota
	orderStop
	orderStart
	orderStatus
	orderClip
)

// heard finds an order in what the wearer said; only finished phrases count.
func heard(t protocol.Transcription) order {
	if !t.IsFinal {
		return orderNone
	}
	said := strings.TrimSpace(strings.ToLower(t.Text))
	for _, o := range []struct {
		words string
		order order
	}{
		{"stop stream", orderStop}, {"end stream", orderStop},
		{"stream status", orderStatus}, {"start stream", orderStart},
		{"clip that", orderClip}, {"clip this", orderClip},
	} {
		if strings.Contains(said, o.words) {
			return o.order
		}
	}
	return orderNone
}
