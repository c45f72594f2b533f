package rtmp

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"time"

	"glimpse/internal/media/hub"
	"glimpse/internal/media/serve"
	"glimpse/internal/strangers"
)

// Config of a Server. Zero fields take the defaults.
type Config struct {
	Addr   string      // TCP address, for example ":1935"; port 0 picks a free one
	App    string      // first part of the path; default "live"
	TLS    *tls.Config // makes the listener RTMPS; default none
	Limits serve.Limits
	Door   *strangers.Door // bounds what peers hold who have not published or played yet; nil: nothing does
}

// times bound what a peer may take (FAULTS part 1).
type times struct {
	handshake time.Duration // accept to the end of the handshake, of TLS too
	action    time.Duration // accept to publish or play
	start     time.Duration // a player may be here before the publisher
	write     time.Duration // a write that makes no progress ends the connection
	idle      time.Duration // a publisher without a byte is gone
	linger    time.Duration // for the peer to read why it is let go
}

const (
	actionTime = 10 * time.Second
	writeTime  = 10 * time.Second
	// A player that reads nothing is to be gone within 10 s (FAULTS F10); before a
	// write to it blocks, about a second and a half fits into the system's buffers.
	playTime = 8 * time.Second
)

func defaultTimes() times {
	return times{
		handshake: 5 * time.Second, action: actionTime, start: 10 * time.Second,
		write: playTime, idle: 30 * time.Second, linger: time.Second,
	}
}

// Server takes RTMP publishers and players on one listener. What it shares with
// the servers of other protocols, Close and Stats among it, is serve.Server's.
type Server struct {
	*serve.Server
	cfg   Config
	hub   *hub.Hub
	log   *slog.Logger
	ln    net.Listener
	times times
}

// New listens on cfg.Addr; Run serves. It fails when the address is taken. Close
// it when it is never run.
func New(cfg Config, h *hub.Hub, log *slog.Logger) (*Server, error) {
	ln, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("rtmp: %w", err)
	}
	ln = cfg.Door.Listener(ln)
	if cfg.App == "" {
		cfg.App = "live"
	}
	if cfg.TLS != nil {
		cfg.TLS = cfg.TLS.Clone()
		cfg.TLS.DynamicRecordSizingDisabled = true
	}
	s := &Server{cfg: cfg, hub: h, log: log, ln: ln, times: defaultTimes()}
	s.Server = serve.New(s.protocol(), ln, cfg.Limits, log)
	return s, nil
}

// protocol is the name of what peers speak.
func (s *Server) protocol() string {
	if s.cfg.TLS != nil {
		return "rtmps"
	}
	return "rtmp"
}

// Addr is the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Run serves until ctx ends or Close is called, then closes all connections and
// waits for them. It must be called once and returns nil.
func (s *Server) Run(ctx context.Context) error {
	return serve.Run(ctx, s.Server, s.ln, nil, s.serve)
}

// serve runs one connection to its end.
func (s *Server) serve(ctx context.Context, nc net.Conn, place *serve.Place) {
	c := newConn(s, nc, place)
	if err := c.run(ctx); err != nil && !place.IsServed() {
		c.log.Debug("rtmp connection closed before it published or played", "reason", reason(err))
	}
}
