package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"

	"glimpse/internal/control/api"
	"glimpse/internal/media/dash"
	"glimpse/internal/media/hls"
	"glimpse/internal/strangers"
	"glimpse/internal/web"
)

// buildHTTP makes everything that speaks HTTP.
func (s *Server) buildHTTP(context.Context) error {
	var err error
	if s.media.web, err = web.New(watched{s.media.hub}); err != nil {
		return err
	}
	panics := new(atomic.Uint64)
	mux := http.NewServeMux()
	mux.HandleFunc("/app-ws", s.control.gateway.ServeApp)
	mux.HandleFunc("/glasses-ws", s.control.gateway.ServeGlasses)
	mux.HandleFunc("GET /live/{playback}", s.media.web.ServePlayer)
	mux.HandleFunc("/live/{playback}/{rest...}", s.play)
	s.media.frames.Register(mux)
	if s.media.webrtc != nil {
		s.media.webrtc.Register(mux)
	}
	if s.tls.authority != nil {
		mux.HandleFunc("GET /ca.pem", s.tls.serveRoot)
	}
	mux.HandleFunc("/recordings/{key}/{rest...}", s.replay)
	mux.HandleFunc("GET /recordings/{key}", s.replay)
	mux.Handle("GET /metrics", s.metrics(panics))
	s.control.api.Mount(mux)
	mux.Handle("/", s.media.web)
	ours := api.OurNames(s.cfg.HTTP.PublicURL, s.candidates())
	checked := api.Hosts(api.Headers(s.unlessDraining(s.viewersKnown(mux))), ours)
	if s.tls.public != nil {
		checked = s.tls.public.Challenges(checked)
	}
	proxies, err := s.cfg.HTTP.Proxies()
	if err != nil {
		return err
	}
	checked = forwarded(checked, proxies)
	s.handler = recovered(checked, panics, s.log)
	s.segments = newSegments(s, ours, panics)
	return nil
}

// recovered ends the connection of a request whose handler panicked, and nothing
// else. The log has the route, not the path: that may hold a playback id.
func recovered(next http.Handler, panics *atomic.Uint64, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if err, ok := cause.(error); !ok || !errors.Is(err, http.ErrAbortHandler) { // a handler's own way to hang up
				panics.Add(1)
				log.Error("request panicked", "route", r.Pattern, "remote", r.RemoteAddr, "cause", cause, "stack", string(debug.Stack()))
			}
			panic(http.ErrAbortHandler)
		}()
		next.ServeHTTP(w, r)
	})
}

// unlessDraining refuses what is new while the server drains, in a way that says
// "again": a 404 for a stream that has just been closed would tell players that
// it is over. Probes and metrics are answered to the end.
func (s *Server) unlessDraining(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz", "/readyz", "/metrics":
		default:
			if !s.Ready() {
				w.Header().Set("Retry-After", "1")
				http.Error(w, "the server is shutting down", http.StatusServiceUnavailable)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// viewersKnown says that whoever knows the id of a stream is no stranger.
func (s *Server) viewersKnown(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rest, ok := strings.CutPrefix(r.URL.Path, "/live/"); ok {
			if id, _, _ := strings.Cut(rest, "/"); s.media.hub.ByPlayback(id) != nil {
				strangers.Known(r.Context())
			}
		}
		next.ServeHTTP(w, r)
	})
}

// play answers below a stream's page by the form of the path: playlists and
// media, the picture, the status.
func (s *Server) play(w http.ResponseWriter, r *http.Request) {
	stream, rest := s.media.hub.ByPlayback(r.PathValue("playback")), r.PathValue("rest")
	switch {
	case rest == "":
		s.media.web.ServePlayer(w, r)
	case rest == "detect":
		s.media.web.ServeDetect(w, r)
	case api.KeptHandles(rest):
		id := ""
		if stream != nil {
			id = stream.ID()
		}
		s.control.api.ServeKept(w, r, id, rest)
	case rest == "status.json":
		s.media.web.ServeStatus(w, r)
	case rest == "thumbnail.jpg":
		s.thumbnail(w, r, stream)
	case dash.Handles(rest):
		s.media.dash.ServeHTTP(w, r, stream, rest)
	case hls.Handles(rest):
		s.media.hls.ServeHTTP(w, r, stream, rest)
	default:
		http.NotFound(w, r)
	}
}

// replay answers below a recording's page: whoever has its key may watch.
func (s *Server) replay(w http.ResponseWriter, r *http.Request) {
	info, ok := s.media.recorder.Library().ByKey(r.PathValue("key"))
	if !ok {
		http.Error(w, "There is no such recording.", http.StatusNotFound)
		return
	}
	if r.PathValue("rest") == "" {
		s.media.web.ServeRecording(w, r)
		return
	}
	s.media.recorder.ServeHTTP(w, r, info, r.PathValue("rest"))
}
