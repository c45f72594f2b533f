package rtmp

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"glimpse/internal/media/hub"
)

// Config of a Server. Zero fields take the defaults.
type Config struct {
	Addr       string      // TCP address, for example ":1935"; port 0 picks a free one
	App        string      // first part of the path; default "live"
	TLS        *tls.Config // makes the listener RTMPS; default none
	MaxConns   int         // connections in total; default 8192
	MaxPerAddr int         // connections of one address (IPv6: one /64); default 2048
}

func (c Config) withDefaults() Config {
	if c.App == "" {
		c.App = "live"
	}
	if c.MaxConns == 0 {
		c.MaxConns = 8192
	}
	if c.MaxPerAddr == 0 {
		c.MaxPerAddr = 2048
	}
	return c
}

// times bound what a peer may take (FAULTS part 1).
type times struct {
	handshake time.Duration // accept to the end of the handshake
	action    time.Duration // accept to publish or play
	start     time.Duration // a player may be here before the publisher
	write     time.Duration // a write that makes no progress ends the connection
	idle      time.Duration // a publisher without a byte is gone
	linger    time.Duration // for the peer to read why it is let go
}

const (
	actionTime = 10 * time.Second
	writeTime  = 10 * time.Second

	acceptDelayMin = 50 * time.Millisecond
	acceptDelayMax = time.Second
)

func defaultTimes() times {
	return times{
		handshake: 5 * time.Second, action: actionTime, start: 10 * time.Second,
		write: writeTime, idle: 30 * time.Second, linger: time.Second,
	}
}

// strangersMemory is what all strangers together may make us hold in messages.
const strangersMemory = 24 << 20

// Server takes RTMP publishers and players on one listener.
type Server struct {
	cfg       Config
	hub       *hub.Hub
	log       *slog.Logger
	ln        net.Listener
	gate      gate
	strangers budget
	times     times
	stats     counters
}

// Stats count since the start.
type Stats struct {
	Accepted uint64 // connections
	Refused  uint64 // connections for which there was no place
	Panics   uint64 // connections ended by a fault of ours
}

type counters struct{ accepted, refused, panics atomic.Uint64 }

// New listens on cfg.Addr; Run serves. It fails when the address is taken.
func New(cfg Config, h *hub.Hub, log *slog.Logger) (*Server, error) {
	cfg = cfg.withDefaults()
	ln, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("rtmp: %w", err)
	}
	return newServer(cfg, h, log, ln, defaultTimes()), nil
}

func newServer(cfg Config, h *hub.Hub, log *slog.Logger, ln net.Listener, t times) *Server {
	return &Server{
		cfg: cfg, hub: h, log: log, ln: ln, times: t,
		gate:      gate{maxConns: cfg.MaxConns, maxPerAddr: cfg.MaxPerAddr, byRemote: map[netip.Addr]*tally{}},
		strangers: budget{max: strangersMemory},
	}
}

// Addr is the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Stats returns the server's counters.
func (s *Server) Stats() Stats {
	return Stats{Accepted: s.stats.accepted.Load(), Refused: s.stats.refused.Load(), Panics: s.stats.panics.Load()}
}

// Run serves until ctx ends, then closes the listener and all connections and
// waits for them. It must be called once and returns nil.
func (s *Server) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = s.ln.Close() })()
	defer s.ln.Close()
	var conns sync.WaitGroup
	defer conns.Wait()
	delay := time.Duration(0)
	for {
		nc, err := s.ln.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = nc.Close()
			}
			return nil
		case err != nil: // out of files, a peer that left early: never the end (FAULTS F23)
			if delay = min(max(2*delay, acceptDelayMin), acceptDelayMax); delay == acceptDelayMin {
				s.log.Warn("cannot accept connections, trying again", "error", err)
			}
			wait(ctx, delay)
			continue
		}
		delay = 0
		s.stats.accepted.Add(1)
		from := remote(nc)
		if !s.gate.enter(from) {
			s.stats.refused.Add(1)
			_ = nc.Close()
			continue
		}
		conns.Go(func() { s.serve(ctx, nc, from) })
	}
}

// wait sleeps for d or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// serve runs one connection to its end; a panic ends this one alone.
func (s *Server) serve(ctx context.Context, nc net.Conn, from netip.Addr) {
	c := newConn(s, nc, from)
	defer c.close()
	defer s.recoverPanic()
	defer context.AfterFunc(ctx, func() { _ = nc.Close() })()
	if err := c.run(ctx); err != nil && !c.served {
		c.log.Debug("rtmp connection closed before it published or played", "reason", reason(err))
	}
}

// recoverPanic must be deferred by each goroutine of a connection.
func (s *Server) recoverPanic() {
	if p := recover(); p != nil {
		s.stats.panics.Add(1)
		s.log.Error("rtmp connection panicked", "panic", p, "stack", string(debug.Stack()))
	}
}
