package srt

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"glimpse/internal/media/hub"
	"glimpse/internal/media/serve"
	"glimpse/internal/media/srt/live"
)

// Config of a Server. Zero fields take the defaults.
type Config struct {
	Addr    string        // UDP address, for example ":4201"; port 0 picks a free one
	Latency time.Duration // how long a lost packet may take to come again; a peer may ask for more; default 120 ms
	Limits  serve.Limits  // defaults 1024 connections, 256 of an address
}

func (c Config) withDefaults() Config {
	if c.Limits.Conns == 0 {
		c.Limits.Conns = 1024
	}
	if c.Limits.PerAddr == 0 {
		c.Limits.PerAddr = 256
	}
	return c
}

// times bound what a peer may take.
type times struct {
	start time.Duration // a reader may be here before the publisher
	idle  time.Duration // a publisher without a packet of media is gone
	watch time.Duration // between looks at a connection
}

func defaultTimes() times {
	return times{start: 10 * time.Second, idle: 30 * time.Second, watch: 200 * time.Millisecond}
}

// Server takes SRT publishers and readers on one UDP port. What it shares with
// the servers of other protocols, Close among it, is serve.Server's.
type Server struct {
	*serve.Server
	cfg   Config
	hub   *hub.Hub
	log   *slog.Logger
	ln    *live.Listener
	times times
	links links

	programs programs // that are being read
}

// links counts what the connections' packets went through.
type links struct{ lost, resent, again, dropped atomic.Uint64 }

// Links are the packets of all connections since the start.
type Links struct {
	Lost    uint64 // of publishers, that never came
	Resent  uint64 // of publishers, that came at a second attempt
	Again   uint64 // sent to readers a second time
	Dropped uint64 // that readers did not get in time
}

// New listens on cfg.Addr; Run serves. It fails when the address is taken. Close
// it when it is never run.
func New(cfg Config, h *hub.Hub, log *slog.Logger) (*Server, error) {
	s := &Server{cfg: cfg.withDefaults(), hub: h, log: log, times: defaultTimes()}
	ln, err := live.Listen(live.Config{Addr: cfg.Addr, Latency: cfg.Latency, Panicked: func(p any) { s.Panicked(p) }})
	if err != nil {
		return nil, fmt.Errorf("srt: %w", err)
	}
	s.ln, s.Server = ln, serve.New("srt", ln, s.cfg.Limits, log)
	return s, nil
}

// Addr is the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Links returns the packets' counters, brought up to date five times a second.
func (s *Server) Links() Links {
	l := &s.links
	return Links{Lost: l.lost.Load(), Resent: l.resent.Load(), Again: l.again.Load(), Dropped: l.dropped.Load()}
}

// Run serves until ctx ends or Close is called, then closes all connections and
// waits for them. It must be called once and returns nil.
func (s *Server) Run(ctx context.Context) error {
	crowded := func(r *live.Request) { r.Reject(live.Overload) }
	return serve.Run(ctx, s.Server, s.ln, crowded, s.serve)
}

// serve runs one connection to its end.
func (s *Server) serve(ctx context.Context, r *live.Request, place *serve.Place) {
	c := &conn{srv: s, req: r, place: place, log: s.log.With("remote", r.RemoteAddr().String())}
	_ = c.run(ctx) // what happened was logged
}

// Held counts what connections hold now; 0 when nobody is there.
func (s *Server) Held() int { return s.Server.Held() + s.ln.Held() }
