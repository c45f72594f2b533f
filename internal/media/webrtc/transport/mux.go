package transport

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

	"glimpse/internal/media/udp"
	"glimpse/internal/strangers"
)

const (
	maxPending     = 1024 // peers that are not connected yet, in all
	maxPendingSite = 64   // and from one address (an IPv6 /64)
)

// Config of a Mux.
type Config struct {
	// Addr is the UDP address to listen on, for example ":8189"; TCP has the same.
	Addr string
	// Hosts are addresses or names under which clients reach this host besides
	// its interfaces' addresses: a public address in front of NAT.
	Hosts []string

	// Streams and Offers bound what strangers make us hold: TCP connections until a
	// check names their peer, peers until they are connected. nil: nothing does.
	Streams, Offers *strangers.Door
}

// Mux serves peers on one UDP socket and one TCP listener. Make it with Listen
// and Run it, which is what closes the sockets. All methods may be called
// concurrently.
type Mux struct {
	log      *slog.Logger
	socket   socket
	listener *net.TCPListener
	identity identity
	hosts    []netip.Addr
	v6       bool
	stats    counters
	doors    struct{ streams, offers *strangers.Door }

	ctx    context.Context // ends when the handshakes must
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	peers   map[*Peer]struct{}
	byUfrag map[string]*Peer
	byAddr  map[netip.AddrPort]*Peer
	streams map[*stream]struct{}
}

// Stats are counts since the start.
type Stats struct {
	Pending        int    // peers that are not connected yet
	Failed         uint64 // peers that never connected
	Strange        uint64 // datagrams from nobody
	Panics         uint64 // peers ended by a fault of ours
	Streams        int    // TCP connections now
	StreamsRefused uint64 // for want of a place
}

type counters struct {
	pending                                 atomic.Int64
	failed, strange, panics, streamsRefused atomic.Uint64
}

// Listen opens the sockets. With port 0 both get the same free one.
func Listen(cfg Config, log *slog.Logger) (*Mux, error) {
	id, err := newIdentity()
	if err != nil {
		return nil, err
	}
	socket, listener, err := listenBoth(cfg.Addr)
	if err != nil {
		return nil, err
	}
	m := &Mux{
		log: log, socket: socket, listener: listener, identity: id,
		hosts: resolveHosts(cfg.Hosts, log), v6: socket.Addr().Addr().Is6(),
		peers: map[*Peer]struct{}{}, byUfrag: map[string]*Peer{},
		byAddr: map[netip.AddrPort]*Peer{}, streams: map[*stream]struct{}{},
	}
	m.doors.streams, m.doors.offers = cfg.Streams, cfg.Offers
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m, nil
}

// listenBoth opens UDP and, on the port that it got, TCP.
func listenBoth(addr string) (socket, *net.TCPListener, error) {
	for try := 0; ; try++ {
		u, err := udp.Listen("udp", addr, socketBuffer)
		if err != nil {
			return socket{}, nil, fmt.Errorf("listen for webrtc: %w", err)
		}
		t, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(u.Addr()))
		if err == nil {
			return socket{u}, t, nil
		}
		_ = u.Close()
		// Another program's, when any port will do: another one.
		if _, port, e := net.SplitHostPort(addr); e != nil || port != "0" || try == 10 {
			return socket{}, nil, fmt.Errorf("listen for webrtc over tcp: %w", err)
		}
	}
}

// Addr is the address of the sockets.
func (m *Mux) Addr() netip.AddrPort { return m.socket.Addr() }

// Fingerprint of the certificate, SHA-256, as in SDP.
func (m *Mux) Fingerprint() string { return m.identity.fingerprint }

// Stats returns the counts.
func (m *Mux) Stats() Stats {
	m.mu.Lock()
	streams := len(m.streams)
	m.mu.Unlock()
	c := &m.stats
	return Stats{
		Pending: int(c.pending.Load()), Failed: c.failed.Load(), Strange: c.strange.Load(),
		Panics: c.panics.Load(), Streams: streams, StreamsRefused: c.streamsRefused.Load(),
	}
}

// Run serves until ctx ends and returns after the last goroutine, with the
// sockets closed. Peers must have been closed by then, and nothing be sent any
// more. Call it once.
//
// turn is called by the goroutine that reads UDP, after each time that it did, with no
// lock held. It says how long the reader may sleep before it reads again, whatever
// comes; 0 leaves that to the Mux, which waits when nothing comes.
func (m *Mux) Run(ctx context.Context, turn func(now time.Time) time.Duration) error {
	var readers sync.WaitGroup
	readers.Go(func() { m.read(turn) })
	readers.Go(m.accept)
	<-ctx.Done()
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.cancel()
	err := errors.Join(m.listener.Close(), m.socket.Stop())
	readers.Wait()
	m.closeStreams()
	m.tasks.Wait()
	return errors.Join(err, m.socket.Close())
}

// Close closes the sockets of a Mux that is not run.
func (m *Mux) Close() error {
	m.cancel()
	return errors.Join(m.listener.Close(), m.socket.Close())
}

// spawn runs a goroutine that Run waits for. It says false, and runs nothing,
// when the Mux is closing.
func (m *Mux) spawn(task func()) bool {
	if m.ctx.Err() != nil {
		return false
	}
	m.tasks.Go(func() {
		defer func() {
			if fault := recover(); fault != nil {
				m.fault(fault)
			}
		}()
		task()
	})
	return true
}

// fault records a panic that was contained.
func (m *Mux) fault(what any) {
	m.stats.panics.Add(1)
	m.log.Error("panic in webrtc", "panic", what, "stack", string(debug.Stack()))
}

const (
	// pause is how long datagrams wait in the socket, so that a picture is read at
	// once, and many peers' with it; briefly while somebody shakes hands, for that
	// takes many turns.
	pause, briefly = 5 * time.Millisecond, time.Millisecond
	// restless reads that found nothing are followed by one that waits.
	restless = 20
)

// read is the UDP socket's one reader.
func (m *Mux) read(turn func(time.Time) time.Duration) {
	take := func(d udp.Datagram) {
		m.datagram(d.Data, path{remote: d.From.Remote, local: d.From.Local}, d.At)
	}
	for empty, calm := restless, time.Duration(0); ; {
		n, err := m.socket.Read(m.pause(empty, calm), take)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			// An error about one peer (ICMP); never a reason to stop.
			m.log.Debug("webrtc read", "error", err)
			time.Sleep(time.Millisecond)
		}
		if empty++; n > 0 {
			empty = 0
		}
		calm = turn(time.Now())
	}
}

// pause is how long the reader may sleep after so many reads that found nothing, and
// when turn has said calm.
func (m *Mux) pause(empty int, calm time.Duration) time.Duration {
	switch {
	case m.stats.pending.Load() > 0 && empty < restless:
		return briefly
	case calm > 0:
		return calm
	case empty < restless:
		return pause
	}
	return 0
}

// Wake makes turn be called soon, although nothing comes.
func (m *Mux) Wake() { m.socket.Wake() }

// datagram hands one packet to its peer, by its first byte (RFC 7983 §7). A panic
// ends that peer only.
func (m *Mux) datagram(b []byte, from path, now time.Time) {
	var at *Peer
	defer func() {
		if fault := recover(); fault != nil {
			m.fault(fault)
			if at != nil {
				at.handler.Ended("internal error")
			}
		}
	}()
	if len(b) < 2 {
		return
	}
	if b[0] <= 3 {
		at = m.stun(b, from, now)
		return
	}
	if at = m.whose(from); at == nil {
		m.stats.strange.Add(1)
		return
	}
	switch {
	case b[0] >= 20 && b[0] <= 63:
		if at.dtls(b, from, now) {
			at.handler.Ended("closed by the peer")
		}
	case b[0] >= 128 && b[0] <= 191:
		at.handler.Received(b, now)
	}
}

// whose finds the peer of a path that passed a check; nil for strangers.
func (m *Mux) whose(from path) *Peer {
	if from.stream != nil {
		return from.stream.peer.Load()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.byAddr[from.remote]
}

// stun answers a check. Strangers get no answer.
func (m *Mux) stun(b []byte, from path, now time.Time) *Peer {
	at, reply, accepted, nominated := m.check(b, from)
	if at == nil {
		m.stats.strange.Add(1)
		return nil
	}
	if accepted {
		if from.stream != nil && !from.stream.peer.CompareAndSwap(nil, at) && from.stream.peer.Load() != at {
			return at // a connection is one peer's
		}
		if from.stream != nil {
			from.stream.place.Leave()
		}
		add, forget := at.reached(from, nominated, now)
		m.mu.Lock()
		if _, known := m.peers[at]; known && add.IsValid() {
			m.byAddr[add] = at
		}
		if forget.IsValid() && m.byAddr[forget] == at {
			delete(m.byAddr, forget)
		}
		m.mu.Unlock()
	}
	_ = m.socket.write(reply, from)
	return at
}

// check authenticates a check; at is nil for a stranger's.
func (m *Mux) check(b []byte, from path) (at *Peer, reply []byte, accepted, nominated bool) {
	c, err := parseCheck(b)
	if err != nil {
		return nil, nil, false, false
	}
	m.mu.Lock()
	at = m.byUfrag[c.ufrag]
	m.mu.Unlock()
	if at == nil {
		return nil, nil, false, false
	}
	if reply, accepted, err = c.answer(at.credentials(c.ufrag), from.remote); err != nil {
		return nil, nil, false, false
	}
	if accepted {
		m.restarted(at, c.ufrag)
	}
	return at, reply, accepted, c.nominated
}

// restarted ends an ICE restart with the first check that uses its credentials.
func (m *Mux) restarted(at *Peer, ufrag string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at.mu.Lock()
	defer at.mu.Unlock()
	if len(at.creds) > 1 && at.creds[1].ufrag == ufrag {
		delete(m.byUfrag, at.creds[0].ufrag)
		at.creds = at.creds[1:]
	}
}

// Crowded reports whether too many peers wait for their handshake, in all or
// from this address.
func (m *Mux) Crowded(client netip.Addr) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	all, same := 0, 0
	for at := range m.peers {
		if at.waiting() {
			all++
			if Site(at.client) == Site(client) {
				same++
			}
		}
	}
	return all >= maxPending || same >= maxPendingSite
}

// Site is what counts as one address: an IPv4 address or an IPv6 /64.
func Site(a netip.Addr) netip.Prefix {
	bits := 32
	if !a.Is4() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// Sweep ends the peers that did not connect in time or do not check any more.
func (m *Mux) Sweep(now time.Time) {
	expired := map[*Peer]string{}
	m.mu.Lock()
	for at := range m.peers {
		if reason := at.expired(now); reason != "" {
			expired[at] = reason
		}
	}
	m.mu.Unlock()
	for at, reason := range expired {
		at.handler.Ended(reason)
	}
}
