package server

import (
	"strings"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/transcode"
	"glimpse/internal/web"
)

// watched tells the player page how a stream stands.
type watched struct {
	hub       *hub.Hub
	transcode *transcode.Transcoder
}

var _ web.Streams = watched{}

// WatchStatus describes the stream of a playback id.
func (w watched) WatchStatus(playbackID string) (web.Status, bool) {
	s := w.hub.ByPlayback(playbackID)
	if s == nil {
		return web.Status{}, false
	}
	st := s.Stats()
	status := web.Status{State: st.State.String(), Viewers: total(st.Viewers), Sound: "none"}
	if s.Standing() {
		status.Name = s.Name() // a wearer's stream is named after the wearer: not for viewers
	}
	if err := w.transcode.Available(); err != nil {
		status.SoundProblem = transcode.ErrMissing.Error()
	}
	if !st.Since.IsZero() {
		since := st.Since.UTC()
		status.StartedAt = &since
	}
	for _, t := range st.Tracks {
		if c, ok := t.Codec.(codec.Video); ok {
			status.Video = c.Name()
			status.Width, status.Height = c.Size()
		}
		if t.Kind() == frame.Audio {
			status.Sound = strings.ToLower(t.Codec.Name())
		}
	}
	return status, true
}
