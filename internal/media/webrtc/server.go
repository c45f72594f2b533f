package webrtc

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/webrtc/transport"
)

const (
	sweepEvery  = time.Second
	catchUpRate = 50 << 20
)

// Config of a server.
type Config = transport.Config

// Streams is where streams are looked up and published; *hub.Hub is one.
type Streams interface {
	// ByPlayback returns the stream that a playback id names, or nil.
	ByPlayback(playbackID string) *hub.Stream
	// Publish connects a publisher to the stream with this key; see hub.Hub.
	Publish(key string, info hub.PublisherInfo) (*hub.Publisher, error)
}

// AudioSource makes Opus of a run's sound, whatever codec that is in.
type AudioSource interface {
	// Opus calls emit with Opus frames (48 kHz, at most two channels, PTS on the
	// run's timeline, in order, from one goroutine at a time) until ctx ends or
	// the run is over, and returns after its last emit. Sound that begins late is
	// waited for. An error says that there will be no sound. Several runs may be
	// converted at once, one run only once at a time.
	Opus(ctx context.Context, run *hub.Run, emit func(*frame.Frame)) error
}

// Server plays streams by WHEP and takes publishers by WHIP on one port. Make it
// with New, put its routes into the HTTP server with Register, and Run it.
type Server struct {
	log      *slog.Logger
	streams  Streams
	audio    AudioSource // nil: no sound
	mux      *transport.Mux
	senders  []*sender
	scratch  sync.Pool // of *batch, for retransmissions
	stats    counters
	catchUps sharedBucket

	ctx    context.Context // ends when Run's does
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu         sync.Mutex
	closed     bool
	sessions   map[string]*session   // by id
	publishers map[string]*publisher // likewise
	feeds      map[*hub.Run]*feed
	tooSlow    map[place]time.Time // whose next POST is refused, and since when
}

// New opens the sockets. audio may be nil: then viewers get pictures only. Run
// must be called, it is what closes the sockets.
func New(cfg Config, streams Streams, audio AudioSource, log *slog.Logger) (*Server, error) {
	mux, err := transport.Listen(cfg, log)
	if err != nil {
		return nil, err
	}
	s := &Server{
		log: log, streams: streams, audio: audio, mux: mux,
		sessions: map[string]*session{}, publishers: map[string]*publisher{}, tooSlow: map[place]time.Time{}, feeds: map[*hub.Run]*feed{},
	}
	s.scratch.New = func() any { return new(batch) }
	s.catchUps.bucket = bucket{rate: catchUpRate, burst: catchUpRate}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for range runtime.GOMAXPROCS(0) {
		s.senders = append(s.senders, newSender())
	}
	return s, nil
}

// Addr is the address of the sockets: UDP and TCP.
func (s *Server) Addr() netip.AddrPort { return s.mux.Addr() }

// Run serves until ctx ends, then says goodbye to all viewers and returns after
// its last goroutine, with the sockets closed. Call it once.
func (s *Server) Run(ctx context.Context) error {
	stop, cancel := context.WithCancel(context.Background())
	defer cancel()
	var senders sync.WaitGroup
	for _, sender := range s.senders {
		senders.Go(func() { sender.run(stop) })
	}
	carry, carried := context.WithCancel(context.Background())
	defer carried()
	over := make(chan error, 1)
	go func() { over <- s.mux.Run(carry, s.turns()) }()
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case now := <-tick.C:
			s.sweep(now)
		}
	}
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.dropAll(func(*session) bool { return true }, "server shutting down")
	s.cancel()
	s.tasks.Wait()
	cancel()
	senders.Wait() // they use the bare descriptor
	carried()
	return <-over
}

// spawn runs a goroutine that Run waits for. It says false, and runs nothing,
// when the server is closing.
func (s *Server) spawn(task func()) bool {
	if s.ctx.Err() != nil {
		return false
	}
	s.tasks.Go(func() {
		defer func() {
			if fault := recover(); fault != nil {
				s.fault(fault)
			}
		}()
		task()
	})
	return true
}

// fault records a panic that was contained.
func (s *Server) fault(what any) {
	s.stats.dropPanic.Add(1)
	s.log.Error("panic in webrtc", "panic", what, "stack", string(debug.Stack()))
}

// admit makes a session for an accepted offer. Errors are *refusal.
func (s *Server) admit(o *offer, f *feed, playback string, client netip.Addr) (*session, error) {
	at := newSession(s, f, playback, client, o)
	peer, err := s.mux.Open(transport.Spec{
		Client: client, Ufrag: o.ufrag, Fingerprint: o.fingerprint, Handler: at, Log: at.log,
	})
	if err != nil {
		return nil, shuttingDown()
	}
	at.peer = peer
	s.mu.Lock()
	defer s.mu.Unlock()
	why := f.failed.Load() // since it was asked
	switch {
	case s.closed:
		peer.Close()
		return nil, shuttingDown()
	case why != nil:
		peer.Close()
		return nil, why
	}
	s.sessions[at.id] = at
	s.stats.sessions.Add(1)
	f.enter(at.hears())
	return at, nil
}

func shuttingDown() *refusal {
	return &refusal{http.StatusServiceUnavailable, "SHUTTING_DOWN", "The server is shutting down."}
}

// feed returns the feed of a run, started if need be.
func (s *Server) feed(run *hub.Run) (*feed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.feeds[run]; f != nil {
		f.touch(time.Now())
		return f, nil
	}
	f := newFeed(s, run)
	ctx, cancel := context.WithCancel(s.ctx)
	f.cancel = cancel
	f.touch(time.Now())
	if s.closed || !s.spawn(func() { f.serve(ctx) }) {
		cancel()
		return nil, shuttingDown()
	}
	s.feeds[run] = f
	return f, nil
}

// drop ends a session. Idempotent.
func (s *Server) drop(at *session, reason string) {
	s.mu.Lock()
	known := s.sessions[at.id] == at
	delete(s.sessions, at.id)
	s.mu.Unlock()
	if !known {
		return
	}
	at.end(reason)
	at.feed.leave(at.hears(), time.Now())
}

// dropAll ends the sessions that match.
func (s *Server) dropAll(match func(*session) bool, reason string) {
	var list []*session
	s.mu.Lock()
	for _, at := range s.sessions {
		if match(at) {
			list = append(list, at)
		}
	}
	s.mu.Unlock()
	for _, at := range list {
		s.drop(at, reason)
	}
}

// dropFeed ends the sessions of a feed.
func (s *Server) dropFeed(f *feed, reason string) {
	s.dropAll(func(at *session) bool { return at.feed == f }, reason)
}

// sweep ends what has expired: sessions that did not connect or do not check any
// more, conversions that nobody hears, feeds that nobody watches.
func (s *Server) sweep(now time.Time) {
	s.mux.Sweep(now)
	s.dropSlow(now)
	s.dropAll((*session).failed, "internal error")
	s.mu.Lock()
	defer s.mu.Unlock()
	for run, f := range s.feeds {
		if f.sweep(now) {
			f.cancel()
			delete(s.feeds, run)
		}
	}
}
