package frames

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"

	"glimpse/internal/media/hub"
	"glimpse/internal/strangers"
	"glimpse/protocol"
)

const (
	// writeTime is what a subscriber has to take one picture, or it is cut off.
	writeTime = 10 * time.Second
	// beatEvery is how often something is sent at least, so that dead peers are noticed.
	beatEvery = 10 * time.Second
	// sendBuffer is how much the kernel may keep for a subscriber: with more, a
	// slow one would be given old pictures for seconds.
	sendBuffer = 256 << 10
)

// Refusal is why a request is not served. Text is for people.
type Refusal struct {
	Status int
	Code   protocol.Code
	Text   string
}

// Error implements error.
func (r *Refusal) Error() string { return string(r.Code) + ": " + r.Text }

func refused(status int, code protocol.Code, text string) error { return &Refusal{status, code, text} }

// refuse answers with a problem (RFC 9457).
func (s *Service) refuse(w http.ResponseWriter, err error) {
	s.counts.refused.Add(1)
	r := &Refusal{http.StatusInternalServerError, protocol.CodeInternal, "Something went wrong on the server; its log says what."}
	switch {
	case errors.As(err, &r):
	case errors.Is(err, ErrCrowded):
		r = &Refusal{http.StatusServiceUnavailable, "LIMIT_REACHED", "Too many subscribers or sizes are served; try again later."}
	case errors.Is(err, ErrClosed):
		r = &Refusal{http.StatusServiceUnavailable, "DRAINING", "The server is shutting down."}
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	if r.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "2")
	}
	if r.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Basic realm="glimpse"`)
	}
	w.WriteHeader(r.Status)
	_ = json.NewEncoder(w).Encode(struct { // the peer may be gone
		Title  string        `json:"title"`
		Status int           `json:"status"`
		Detail string        `json:"detail"`
		Code   protocol.Code `json:"code"`
	}{http.StatusText(r.Status), r.Status, r.Text, r.Code})
}

// Register adds the routes: under /live/{playback}, frames is a websocket, or
// without an upgrade the same in one HTTP answer; frames.mjpeg is pictures only,
// and frame.jpg the newest. All of them are for apps with a key, and so is the POST
// of detections; to follow those the address is enough.
func (s *Service) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /live/{playback}/frames", s.entered(s.serveFrames))
	mux.HandleFunc("GET /live/{playback}/frames.mjpeg", s.entered(s.serveMJPEG))
	mux.HandleFunc("GET /live/{playback}/frame.jpg", s.entered(s.serveOne))
	mux.HandleFunc("POST /live/{playback}/detections", s.entered(s.servePost))
	mux.HandleFunc("GET /live/{playback}/detections", s.entered(s.serveDetections))
}

// entered counts a handler in.
func (s *Service) entered(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if !s.enter() {
			s.refuse(w, ErrClosed)
			return
		}
		defer s.visits.Done()
		next(w, r)
	}
}

// admit returns what a request for pictures is allowed: the app is known before
// anything else is looked at.
func (s *Service) admit(r *http.Request) (app string, stream *hub.Stream, err error) {
	if app, err = s.cfg.Grants.FramesApp(r); err != nil {
		return "", nil, err
	}
	if stream = s.cfg.Streams.ByPlayback(r.PathValue("playback")); stream == nil {
		return "", nil, errNoStream()
	}
	return app, stream, nil
}

func errNoStream() error {
	return refused(http.StatusNotFound, protocol.CodeStreamNotFound, "There is no stream at this address, or it has ended.")
}

// subscribe makes the subscription that a request asks for.
func (s *Service) subscribe(r *http.Request) (*Subscription, error) {
	app, stream, err := s.admit(r)
	if err != nil {
		return nil, err
	}
	o, err := parseOptions(r.URL.Query())
	if err != nil {
		return nil, refused(http.StatusUnprocessableEntity, "INVALID_REQUEST", "The request is not valid: "+err.Error()+".")
	}
	return s.Subscribe(stream, app, o)
}

// connKey is the connection's key in a request's context.
type connKey struct{}

// WithConn puts a connection into the contexts of its requests, for
// http.Server.ConnContext, so that what waits for a subscriber can be bounded.
func WithConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// bound bounds what the kernel keeps for the peer of a request.
func bound(r *http.Request) {
	c, _ := r.Context().Value(connKey{}).(net.Conn)
	if t, ok := strangers.Bare(c).(interface{ SetWriteBuffer(int) error }); ok {
		_ = t.SetWriteBuffer(sendBuffer) // it is closing otherwise
	}
}

// next is Next for senders: after beatEvery without news it repeats the state.
func (s *Subscription) next(ctx context.Context) (News, error) {
	wait, cancel := context.WithTimeout(ctx, beatEvery)
	defer cancel()
	n, err := s.Next(wait)
	if err != nil && ctx.Err() == nil && wait.Err() != nil {
		return News{State: &protocol.State{Type: protocol.TypeState, State: s.told.state, Reason: s.told.reason}}, nil
	}
	if n.Picture != nil {
		n.Header.Age = millis(time.Since(n.Picture.Came))
	}
	return n, err
}
