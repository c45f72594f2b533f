package server

import (
	"net/http"
	"time"

	"glimpse/internal/control/api"
	"glimpse/internal/control/events"
	"glimpse/internal/media/frames"
)

// frameGrants lets apps with a key have pictures. The control plane is built after
// the media plane, and before anybody asks.
type frameGrants struct{ control *controlPlane }

var _ frames.Grants = frameGrants{}

// FramesApp implements frames.Grants.
func (g frameGrants) FramesApp(r *http.Request) (string, error) {
	app, p := g.control.api.PictureApp(r)
	if p != nil {
		return "", &frames.Refusal{Status: p.Status, Code: p.Code, Text: p.Detail}
	}
	return app, nil
}

// tellFrames passes on what happens to pictures.
func (s *Server) tellFrames(e frames.Event) {
	out := events.Event{Type: events.Type(e.Kind), Stream: e.Stream.ID(), App: e.App, Message: e.Message, Kind: "managed"}
	if e.Stream.Standing() {
		out.Kind = "standing"
	} else {
		out.Wearer = e.Stream.Name()
	}
	s.control.events.Publish(out)
}

// looking is who is given a stream's pictures, in the API's words.
func looking(list []frames.Subscriber) []api.FrameSubscriber {
	var out []api.FrameSubscriber
	for _, s := range list {
		out = append(out, api.FrameSubscriber{
			App: s.App, FPS: s.FPS, Width: s.Width, Height: s.Height, Format: string(s.Format), State: s.State,
			Since: s.Since.UTC().Truncate(time.Millisecond), Sent: s.Sent, Dropped: s.Dropped,
		})
	}
	return out
}
