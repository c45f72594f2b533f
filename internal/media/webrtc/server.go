package webrtc

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

const (
	sweepEvery  = time.Second
	maxPending  = 1024 // sessions that are not connected yet, in all
	maxPerPeer  = 64   // and from one address (an IPv6 /64)
	catchUpRate = 50 << 20
)

// Config of a server.
type Config struct {
	// Addr is the UDP address to listen on, for example ":8189".
	Addr string
	// Hosts are addresses or names under which clients reach this host besides
	// its interfaces' addresses: a public address in front of NAT.
	Hosts []string
}

// Streams is where streams are looked up; *hub.Hub is one.
type Streams interface {
	// ByPlayback returns the stream that a playback id names, or nil.
	ByPlayback(playbackID string) *hub.Stream
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

// Server plays streams by WHEP on one UDP socket. Make it with New, put its
// routes into the HTTP server with Register, and Run it.
type Server struct {
	log      *slog.Logger
	streams  Streams
	audio    AudioSource // nil: no sound
	socket   *socket
	identity identity
	hosts    []netip.Addr
	v6       bool
	senders  []*sender
	stats    counters
	catchUps sharedBucket

	ctx    context.Context // ends when Run's does
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	sessions map[string]*session // by id
	byUfrag  map[string]*session
	byAddr   map[netip.AddrPort]*session
	feeds    map[*hub.Run]*feed
}

// New opens the socket. audio may be nil: then viewers get pictures only. Run
// must be called, it is what closes the socket.
func New(cfg Config, streams Streams, audio AudioSource, log *slog.Logger) (*Server, error) {
	id, err := newIdentity()
	if err != nil {
		return nil, err
	}
	socket, err := listen(cfg.Addr)
	if err != nil {
		return nil, err
	}
	local := socket.conn.LocalAddr().(*net.UDPAddr)
	s := &Server{
		log: log, streams: streams, audio: audio, socket: socket, identity: id,
		hosts: resolveHosts(cfg.Hosts, log), v6: local.IP.To4() == nil,
		sessions: map[string]*session{}, byUfrag: map[string]*session{},
		byAddr: map[netip.AddrPort]*session{}, feeds: map[*hub.Run]*feed{},
	}
	s.catchUps.bucket = bucket{rate: catchUpRate, burst: catchUpRate}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for range runtime.GOMAXPROCS(0) {
		s.senders = append(s.senders, newSender())
	}
	return s, nil
}

// Addr is the address of the socket.
func (s *Server) Addr() netip.AddrPort { return s.socket.addr() }

// Run serves until ctx ends, then says goodbye to all viewers and returns after
// its last goroutine, with the socket closed. Call it once.
func (s *Server) Run(ctx context.Context) error {
	stop, cancel := context.WithCancel(context.Background())
	var senders, reader sync.WaitGroup
	for _, sender := range s.senders {
		senders.Go(func() { sender.run(stop) })
	}
	reader.Go(s.read)
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
	err := s.socket.conn.SetReadDeadline(time.Now())
	reader.Wait()
	return errors.Join(err, s.socket.close())
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

// read is the socket's one reader.
func (s *Server) read() {
	buf := make([]byte, maxDatagram)
	scratch := new(batch)
	for {
		n, from, err := s.socket.read(buf)
		switch {
		case err == nil:
			s.datagram(buf[:n], from, scratch, time.Now())
		case s.ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default:
			// An error about one peer (ICMP); never a reason to stop.
			s.log.Debug("webrtc read", "error", err)
			time.Sleep(time.Millisecond)
		}
	}
}

// datagram hands one datagram to its session, by its first byte (RFC 7983 §7).
// A panic ends that session only.
func (s *Server) datagram(b []byte, from path, scratch *batch, now time.Time) {
	var at *session
	defer func() {
		if fault := recover(); fault != nil {
			s.fault(fault)
			if at != nil {
				s.drop(at, "internal error")
			}
		}
	}()
	if len(b) < 2 {
		return
	}
	if b[0] <= 3 {
		at = s.stun(b, from, now)
		return
	}
	s.mu.Lock()
	at = s.byAddr[from.remote]
	s.mu.Unlock()
	switch {
	case at == nil:
		s.stats.dropStrange.Add(1)
	case b[0] >= 20 && b[0] <= 63:
		if at.dtls(b, from.remote, now) {
			s.drop(at, "closed by the viewer")
		}
	case b[0] >= 128 && b[0] <= 191 && b[1] >= 192 && b[1] <= 223:
		at.control(b, scratch, now)
	}
}

// stun answers a check. Strangers get no answer.
func (s *Server) stun(b []byte, from path, now time.Time) *session {
	c, err := parseCheck(b)
	if err != nil {
		s.stats.dropStrange.Add(1)
		return nil
	}
	s.mu.Lock()
	at := s.byUfrag[c.ufrag]
	s.mu.Unlock()
	if at == nil {
		s.stats.dropStrange.Add(1)
		return nil
	}
	reply, accepted, err := c.answer(at.cred, from.remote)
	if err != nil {
		s.stats.dropStrange.Add(1)
		return nil
	}
	if accepted {
		add, forget := at.reached(from, c.nominated, now)
		s.mu.Lock()
		if add.IsValid() && s.sessions[at.id] == at {
			s.byAddr[add] = at
		}
		if forget.IsValid() && s.byAddr[forget] == at {
			delete(s.byAddr, forget)
		}
		s.mu.Unlock()
	}
	_ = s.socket.write(reply, from)
	return at
}

// admit makes a session for an accepted offer. Errors are *refusal.
func (s *Server) admit(o *offer, f *feed, playback string, client netip.Addr, now time.Time) (*session, error) {
	at := &session{
		server: s, feed: f, id: rand.Text(), playback: playback, client: client,
		offer: o, cred: newCredentials(o.ufrag), created: now,
	}
	at.log = f.log.With("session", at.id[:8])
	at.ctx, at.cancel = context.WithCancel(s.ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		at.cancel()
		return nil, &refusal{http.StatusServiceUnavailable, "SHUTTING_DOWN", "The server is shutting down."}
	}
	if why := f.failed.Load(); why != nil { // since it was asked
		at.cancel()
		return nil, why
	}
	s.sessions[at.id], s.byUfrag[at.cred.ufrag] = at, at
	s.stats.pending.Add(1)
	s.stats.sessions.Add(1)
	f.enter(at.hears())
	return at, nil
}

// crowded reports whether too many sessions wait for their handshake, in all or
// from this address.
func (s *Server) crowded(client netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, same := 0, 0
	for _, at := range s.sessions {
		if at.waiting() {
			all++
			if site(at.client) == site(client) {
				same++
			}
		}
	}
	return all >= maxPending || same >= maxPerPeer
}

// site is what counts as one address: an IPv4 address or an IPv6 /64.
func site(a netip.Addr) netip.Prefix {
	bits := 32
	if !a.Is4() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
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
		return nil, &refusal{http.StatusServiceUnavailable, "SHUTTING_DOWN", "The server is shutting down."}
	}
	s.feeds[run] = f
	return f, nil
}

// drop ends a session. Idempotent.
func (s *Server) drop(at *session, reason string) {
	s.mu.Lock()
	if s.sessions[at.id] != at {
		s.mu.Unlock()
		return
	}
	delete(s.sessions, at.id)
	delete(s.byUfrag, at.cred.ufrag)
	s.mu.Unlock()
	known := at.end(reason)
	at.feed.leave(at.hears(), time.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range known {
		if s.byAddr[a] == at {
			delete(s.byAddr, a)
		}
	}
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
	expired := map[*session]string{}
	s.mu.Lock()
	for _, at := range s.sessions {
		if reason := at.expired(now); reason != "" {
			expired[at] = reason
		}
	}
	for run, f := range s.feeds {
		if f.sweep(now) {
			f.cancel()
			delete(s.feeds, run)
		}
	}
	s.mu.Unlock()
	for at, reason := range expired {
		s.drop(at, reason)
	}
}
