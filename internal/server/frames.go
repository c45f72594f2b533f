package server

import (
	"net/http"

	"glimpse/internal/control/api"
	"glimpse/internal/control/events"
	"glimpse/internal/media/frames"
)

// frameGrants lets apps with a key have pictures.
type frameGrants struct{ api *api.API }

var _ frames.Grants = frameGrants{}

// FramesApp implements frames.Grants.
func (g frameGrants) FramesApp(r *http.Request) (string, error) {
	app, p := g.api.PictureApp(r)
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
