package srt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	gosrt "github.com/datarhei/gosrt"

	"glimpse/internal/media/hub"
)

// Config of a Server. Zero fields take the defaults.
type Config struct {
	Addr       string        // UDP address, for example ":4201"; port 0 picks a free one
	Latency    time.Duration // how long a lost packet may take to come again; a peer may ask for more; default 120 ms
	MaxConns   int           // connections in total; default 1024
	MaxPerAddr int           // connections of one address (IPv6: one /64); default 256
}

func (c Config) withDefaults() Config {
	if c.Latency == 0 {
		c.Latency = 120 * time.Millisecond
	}
	if c.MaxConns == 0 {
		c.MaxConns = 1024
	}
	if c.MaxPerAddr == 0 {
		c.MaxPerAddr = 256
	}
	return c
}

// times bound what a peer may take.
type times struct {
	start  time.Duration // a reader may be here before the publisher
	idle   time.Duration // a publisher without a packet of media is gone
	watch  time.Duration // between looks at a connection
	linger time.Duration // for the last packets to be sent again
}

func defaultTimes() times {
	return times{start: 10 * time.Second, idle: 30 * time.Second, watch: 200 * time.Millisecond, linger: 500 * time.Millisecond}
}

// Server takes SRT publishers and readers on one UDP port.
type Server struct {
	cfg    Config
	hub    *hub.Hub
	log    *slog.Logger
	ln     gosrt.Listener
	places places
	times  times
	stats  counters
}

// Stats count since the start.
type Stats struct {
	Accepted uint64 // connections
	Refused  uint64 // requests that were turned down
	Panics   uint64 // handshakes and connections ended by a fault of ours or of the library
	Lost     uint64 // packets of publishers that never came
	Resent   uint64 // packets of publishers that came at the second attempt
}

type counters struct{ accepted, refused, panics, lost, resent atomic.Uint64 }

// New listens on cfg.Addr; Run serves. It fails when the address is taken.
func New(cfg Config, h *hub.Hub, log *slog.Logger) (*Server, error) {
	cfg = cfg.withDefaults()
	// The library shares its port with whoever else does; this does not.
	at, err := net.ResolveUDPAddr("udp", cfg.Addr) // the library takes no names
	if err != nil {
		return nil, fmt.Errorf("srt: %w", err)
	}
	probe, err := net.ListenPacket("udp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("srt: %w", err)
	}
	_ = probe.Close()
	c := gosrt.DefaultConfig()
	c.Latency = cfg.Latency
	ln, err := gosrt.Listen("srt", at.String(), c)
	if err != nil {
		return nil, fmt.Errorf("srt: %w", err)
	}
	return &Server{
		cfg: cfg, hub: h, log: log, ln: ln, times: defaultTimes(),
		places: places{total: cfg.MaxConns, perAddr: cfg.MaxPerAddr, by: map[netip.Addr]int{}},
	}, nil
}

// Addr is the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Close stops listening; only a server that never ran needs it. Idempotent.
func (s *Server) Close() { s.ln.Close() }

// Stats returns the server's counters.
func (s *Server) Stats() Stats {
	return Stats{
		Accepted: s.stats.accepted.Load(), Refused: s.stats.refused.Load(), Panics: s.stats.panics.Load(),
		Lost: s.stats.lost.Load(), Resent: s.stats.resent.Load(),
	}
}

// Run serves until ctx ends, then closes all connections and waits for them. It
// must be called once; an error means that the socket failed.
func (s *Server) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, s.ln.Close)()
	defer s.ln.Close()
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		req, err := s.next()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("srt: %w", err)
		case req == nil: // the library panicked over a handshake
			continue
		}
		conns.Go(func() { s.serve(ctx, req) })
	}
}

// next waits for a request. The library parses handshakes in this goroutine, so
// that a malformed one ends here; nothing is held when it does.
func (s *Server) next() (req gosrt.ConnRequest, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.stats.panics.Add(1)
			s.log.Debug("srt handshake is malformed", "panic", p)
			req, err = nil, nil
		}
	}()
	return s.ln.Accept2()
}

// serve decides about one request and runs the connection to its end; a panic
// ends this one alone.
func (s *Server) serve(ctx context.Context, req gosrt.ConnRequest) {
	defer s.recoverPanic()
	c := &conn{srv: s, req: req, log: s.log.With("remote", req.RemoteAddr().String())}
	giveBack, ok := s.places.take(host(req.RemoteAddr()))
	if !ok {
		c.refuse(gosrt.REJX_OVERLOAD, errCrowded)
		return
	}
	defer giveBack()
	defer c.close()
	c.run(ctx)
}

var errCrowded = errors.New("too many connections")

// recoverPanic must be deferred by each goroutine of a connection.
func (s *Server) recoverPanic() {
	if p := recover(); p != nil {
		s.stats.panics.Add(1)
		s.log.Error("srt connection panicked", "panic", p, "stack", string(debug.Stack()))
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
