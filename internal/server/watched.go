package server

import (
	"errors"
	"strings"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/transcode"
	"glimpse/internal/web"
)

// watched tells the player page how a stream stands.
type watched struct {
	hub *hub.Hub
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
	status.SoundProblem = soundProblem(s.Run(), hub.SoundOpus)
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

// soundProblem says why a run's sound does not come in one of the forms, empty
// when it does or when there is none. What ffmpeg itself says is for the log.
func soundProblem(run *hub.Run, forms ...hub.Sound) string {
	if run == nil {
		return ""
	}
	for _, form := range forms {
		_, problem := run.Converted(form)
		switch {
		case problem == nil:
		case errors.Is(problem, transcode.ErrMissing), errors.Is(problem, transcode.ErrBusy):
			return problem.Error()
		default:
			return "the conversion of the sound failed and is tried again"
		}
	}
	return ""
}
