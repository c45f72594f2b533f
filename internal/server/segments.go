package server

import (
	"net/http"
	"strings"
	"sync/atomic"

	"glimpse/internal/control/api"
	"glimpse/internal/lean"
	"glimpse/internal/media/hub"
	"glimpse/internal/strangers"
)

// segments is what is asked for again and again, answered past net/http and its routes:
// media playlists and files of live streams by players, /healthz and /readyz by probes.
// For each request that it takes the answer is the routes' own.
type segments struct {
	s      *Server
	ours   api.Names
	answer http.Handler
}

var _ lean.Handler = (*segments)(nil)

func newSegments(s *Server, ours api.Names, panics *atomic.Uint64) *segments {
	g := &segments{s: s, ours: ours}
	g.answer = recovered(api.Headers(http.HandlerFunc(g.play)), panics, s.log)
	return g
}

// find reads /live/<playback id>/<rest>; nil when there is no such stream.
func (g *segments) find(path string) (stream *hub.Stream, rest string) {
	below, ok := strings.CutPrefix(path, "/live/")
	if !ok {
		return nil, ""
	}
	id, rest, _ := strings.Cut(below, "/")
	return g.s.media.hub.ByPlayback(id), rest
}

// isProbe reports whether somebody only asks how the server is.
func isProbe(path string) bool { return path == "/healthz" || path == "/readyz" }

// Takes implements lean.Handler.
func (g *segments) Takes(r *http.Request) bool {
	if isProbe(r.URL.Path) {
		return g.ours.Has(r.Host)
	}
	stream, rest := g.find(r.URL.Path)
	return stream != nil && g.s.Ready() && g.ours.Has(r.Host) && g.s.media.hls.Whole(stream, rest)
}

// ServeHTTP implements lean.Handler.
func (g *segments) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if isProbe(r.URL.Path) {
		g.s.handler.ServeHTTP(w, r)
		return
	}
	g.answer.ServeHTTP(w, r)
}

func (g *segments) play(w http.ResponseWriter, r *http.Request) {
	strangers.Known(r.Context()) // Takes has found the stream
	stream, rest := g.find(r.URL.Path)
	g.s.media.hls.ServeHTTP(w, r, stream, rest)
}
