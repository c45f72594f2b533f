package classify

import (
	"context"
	"errors"
	"image"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"glimpse/internal/detect/yolo"
)

// Limits. A message holds a picture of at most 6 MiB in base64.
const (
	maxMessage     = 8 << 20  // bytes
	maxWaiting     = 4        // requests of a connection beside the one that is looked at
	maxConnections = 16       // together
	maxQueued      = 64 << 20 // bytes of all waiting requests
	writeWait      = 10 * time.Second
	pingEvery      = 30 * time.Second
)

// Finder finds things in pictures; engine.Engine is one.
type Finder interface {
	Find(ctx context.Context, picture image.Image, score float32) (boxes []yolo.Box, took time.Duration, err error)
	Spec() *yolo.Spec
	Name() string
}

// Config of a Server.
type Config struct {
	Finder     Finder  // nil when there is no model
	Missing    string  // why there is none, for people
	Confidence float32 // least score of what is told
	Logger     *slog.Logger
}

// Server answers pictures. Make it with New.
type Server struct {
	cfg    Config
	life   context.Context
	end    context.CancelFunc
	places chan struct{}
	queued atomic.Int64 // bytes of waiting requests
	decode chan struct{}

	mu     sync.Mutex // guards closed; conns is added to under it
	closed bool
	conns  sync.WaitGroup
}

// New returns a Server without connections.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg, places: make(chan struct{}, maxConnections), decode: make(chan struct{}, 1)}
	s.life, s.end = context.WithCancel(context.Background())
	return s
}

// Close ends all connections and waits for them.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.end()
	s.conns.Wait()
}

// ServeHTTP serves a connection until it ends. Browsers may connect from pages
// of this host only.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "" {
		http.Error(w, "This is the classifier of glimpse-detect: connect by websocket and send detection_request messages.", http.StatusUpgradeRequired)
		return
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		http.Error(w, "closing", http.StatusServiceUnavailable)
		return
	}
	s.conns.Add(1)
	s.mu.Unlock()
	defer s.conns.Done()
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	default:
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many connections", http.StatusServiceUnavailable)
		return
	}
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	ws.SetReadLimit(maxMessage)
	ctx, cancel := context.WithCancel(s.life)
	c := &conn{server: s, ws: ws, wake: make(chan struct{}, 1)}
	var jobs sync.WaitGroup
	jobs.Go(func() { defer cancel(); c.work(ctx) })
	jobs.Go(func() { defer cancel(); c.keepAlive(ctx) })
	c.read(ctx)
	cancel()
	jobs.Wait()
	c.forget()
	if s.life.Err() != nil {
		ws.Close(websocket.StatusGoingAway, "the classifier is shutting down")
	}
	ws.CloseNow()
}

// answer looks at one picture.
func (s *Server) answer(ctx context.Context, m *message) response {
	if s.cfg.Finder == nil {
		return refused(m.ImageID, codeNoModel, s.cfg.Missing)
	}
	if m.ImageData == "" {
		return refused(m.ImageID, codeNoImage, "No image data provided")
	}
	begun := time.Now()
	boxes, size, err := s.look(ctx, m.ImageData)
	switch {
	case errors.Is(err, errTooLarge):
		return refused(m.ImageID, codeTooLarge, err.Error())
	case errors.Is(err, errBadImage):
		return refused(m.ImageID, codeBadImage, err.Error())
	case err != nil:
		if ctx.Err() == nil {
			s.cfg.Logger.Error("the model failed", "err", err)
		}
		return refused(m.ImageID, codeFailed, "the model failed")
	}
	now := time.Now()
	return response{Type: typeResponse, Data: &data{
		ImageID: m.ImageID, Detections: Detections(s.cfg.Finder.Spec(), boxes), ProcessingTime: now.Sub(begun).Seconds(), Timestamp: seconds(now),
		Width: size.X, Height: size.Y, Model: s.cfg.Finder.Name(),
	}}
}

// look decodes and finds. One picture is decoded at a time: a large one takes up
// to 200 MB meanwhile.
func (s *Server) look(ctx context.Context, text string) ([]yolo.Box, image.Point, error) {
	select {
	case s.decode <- struct{}{}:
		defer func() { <-s.decode }()
	case <-ctx.Done():
		return nil, image.Point{}, ctx.Err()
	}
	picture, err := decode(text)
	if err != nil {
		return nil, image.Point{}, err
	}
	boxes, _, err := s.cfg.Finder.Find(ctx, picture, s.cfg.Confidence)
	return boxes, picture.Bounds().Size(), err
}
