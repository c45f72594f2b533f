package serve

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A listener that fails is asked again after so long, then twice as long each
// time: within a second of the end of what it failed of (FAULTS F23).
const (
	retryMin = 50 * time.Millisecond
	retryMax = 500 * time.Millisecond
)

// Peer is one connection. Close ends it at once, wakes reads and writes in
// progress, and may be called from anywhere, more than once.
type Peer interface {
	RemoteAddr() net.Addr
	Close() error
}

// Listener gives connections, one at a time. After Close its Accept fails.
type Listener[C Peer] interface {
	Accept() (C, error)
	Close() error
}

// Server is the part of a protocol's server that knows nothing of the protocol.
// Its methods may be called from anywhere.
type Server struct {
	protocol string
	log      *slog.Logger
	listener io.Closer
	places   places
	stats    counters

	closed  context.Context
	close   context.CancelFunc
	running atomic.Bool
	done    chan struct{} // closed when Run has returned
}

// Stats count since the start.
type Stats struct {
	Accepted uint64 // connections, also those that were refused
	Refused  uint64 // for which there was no place, or that were told to go
	Panics   uint64 // ended by a fault of ours
}

type counters struct{ accepted, refused, panics atomic.Uint64 }

// New returns a server for a protocol ("rtmp"), whose name stands before what it
// logs. The listener is closed when the server is; Run accepts from it.
func New(protocol string, listener io.Closer, limits Limits, log *slog.Logger) *Server {
	s := &Server{
		protocol: protocol, log: log, listener: listener, done: make(chan struct{}),
		places: places{limits: limits.withDefaults(), byAddr: map[netip.Addr]*tally{}},
	}
	s.closed, s.close = context.WithCancel(context.Background())
	return s
}

// Stats returns the server's counters.
func (s *Server) Stats() Stats {
	return Stats{Accepted: s.stats.accepted.Load(), Refused: s.stats.refused.Load(), Panics: s.stats.panics.Load()}
}

// Held counts the connections that are open now, and the addresses that they are
// counted under: 0 when nobody is there.
func (s *Server) Held() int {
	s.places.mu.Lock()
	defer s.places.mu.Unlock()
	return s.places.all.conns + len(s.places.byAddr)
}

// Refused counts a peer that was told to go.
func (s *Server) Refused() { s.stats.refused.Add(1) }

// Close stops listening and ends all connections; it returns when Run has, and at
// once when Run was never called. Idempotent.
func (s *Server) Close() {
	s.close()
	_ = s.listener.Close()
	if s.running.Load() {
		<-s.done
	}
}

// Run accepts connections until ctx ends or s is closed, and serves each in a
// goroutine of its own. Then it closes the listener and all connections and waits
// for them. A connection for which there is no place is given to crowded, if that
// is not nil, and closed; a panic ends the one connection alone; a listener that
// fails is asked again (FAULTS F23). Call it once; it returns nil.
func Run[C Peer](ctx context.Context, s *Server, l Listener[C], crowded func(C), serve func(context.Context, C, *Place)) error {
	s.running.Store(true)
	defer close(s.done)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.closed, cancel)()
	defer context.AfterFunc(ctx, func() { _ = s.listener.Close() })()
	defer s.listener.Close()
	var conns sync.WaitGroup
	defer conns.Wait()
	defer cancel() // before the wait
	for delay := time.Duration(0); ; {
		c, err := l.Accept()
		switch {
		case ctx.Err() != nil || s.closed.Err() != nil:
			if err == nil {
				_ = c.Close()
			}
			return nil
		case err != nil:
			if delay = min(max(2*delay, retryMin), retryMax); delay == retryMin {
				s.log.Warn("cannot accept "+s.protocol+" connections, trying again", "error", err)
			}
			Wait(ctx, delay)
			continue
		}
		delay = 0
		s.stats.accepted.Add(1)
		place := s.places.enter(host(c.RemoteAddr()))
		if place == nil {
			s.stats.refused.Add(1)
			if crowded != nil {
				crowded(c)
			}
			_ = c.Close()
			continue
		}
		conns.Go(func() {
			defer place.leave()
			defer func() { _ = c.Close() }() // it may be closed already
			defer s.Recover()
			defer context.AfterFunc(ctx, func() { _ = c.Close() })()
			serve(ctx, c, place)
		})
	}
}

// Recover must be deferred by each goroutine of a connection.
func (s *Server) Recover() {
	if p := recover(); p != nil {
		s.Panicked(p)
	}
}

// Panicked logs and counts a panic that was recovered, in the recovering function.
func (s *Server) Panicked(p any) {
	s.stats.panics.Add(1)
	s.log.Error(s.protocol+" connection panicked", "panic", p, "stack", string(debug.Stack()))
}

// Aside runs f in a goroutine beside a connection's own and returns a function
// that waits for its end.
func (s *Server) Aside(f func()) (wait func()) {
	var wg sync.WaitGroup
	wg.Go(func() {
		defer s.Recover()
		f()
	})
	return wg.Wait
}

// Wait sleeps for d or until ctx ends.
func Wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// NameRule says what a key or playback id looks like.
const NameRule = "1 to 128 letters, digits or _.@+-"

// ValidName reports whether a name of a stranger may be looked up: see NameRule.
func ValidName(s string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.@+-"
	return len(s) > 0 && len(s) <= 128 && strings.Trim(s, allowed) == ""
}
