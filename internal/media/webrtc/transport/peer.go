package transport

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"glimpse/internal/strangers"
)

const (
	connectWithin = 10 * time.Second // from the offer to the end of the handshake
	idleAfter     = 30 * time.Second // without a check; a paused tab still checks
	// settle is waited between the handshake and the first packet: the server
	// finishes half a round trip earlier, and a client that hands DTLS to another
	// thread throws away what comes at once.
	settle       = 5 * time.Millisecond
	maxAddresses = 8 // of one peer
	// preferUDP: browsers nominate every pair that works, TCP among them, which
	// counts when UDP was not heard of for so long (they check each 2.5 s).
	preferUDP = 6 * time.Second
)

// ErrClosed is for what comes after the end.
var ErrClosed = errors.New("the transport is closed")

// Handler is what a peer is for.
type Handler interface {
	// Connected comes once, first, when the handshake is over: the keys are the
	// handler's from now on. Peer.mu is held.
	Connected(k *Keys, to Destination)
	// Moved says where media go from now on. Peer.mu is held.
	Moved(to Destination)
	// Received is one SRTP or SRTCP packet (told apart by the second byte, RFC
	// 5761), not opened yet, from an address that passed a check; b is valid until
	// it returns. A peer over UDP is called by one goroutine; when it changes
	// between UDP and TCP, by two.
	Received(b []byte, now time.Time)
	// Missed says that the peer lacked the end of the handshake until now, so it
	// could open nothing of what was sent.
	Missed(now time.Time)
	// Ended says that the peer must go: it left, or did not connect, or fell
	// silent, or reads nothing of its TCP connection. No lock is held; it may come more
	// than once, and Peer.Close is expected.
	Ended(reason string)
}

// Spec is a peer to open.
type Spec struct {
	Client      netip.Addr // who asked, for the caps
	Ufrag       string     // of its offer
	Fingerprint string     // of its certificate: "sha-256 AB:CD…"
	Handler     Handler
	Log         *slog.Logger
}

// Peer is one browser, or another WebRTC client, from its offer to its end.
type Peer struct {
	mux         *Mux
	handler     Handler
	log         *slog.Logger
	client      netip.Addr
	fingerprint string
	created     time.Time
	place       *strangers.Place // until it is connected

	ctx    context.Context // ends with the peer
	cancel context.CancelFunc

	mu        sync.Mutex
	creds     []credentials // newest last; two while an ICE restart is under way
	closed    bool
	connected bool
	left      bool // an alert came before connected
	link      *link
	path      path
	known     []netip.AddrPort // UDP addresses that passed a check, oldest first
	checked   time.Time
	byUDP     time.Time // the newest check over UDP
}

// Open makes a peer whose checks are answered from now on. ErrClosed when the Mux
// is closing.
func (m *Mux) Open(spec Spec) (*Peer, error) {
	p := &Peer{
		mux: m, handler: spec.Handler, log: spec.Log, client: spec.Client,
		fingerprint: spec.Fingerprint, created: time.Now(), creds: []credentials{newCredentials(spec.Ufrag)},
	}
	p.ctx, p.cancel = context.WithCancel(m.ctx)
	p.place = m.doors.offers.Enter(spec.Client, func() { spec.Handler.Ended("others came") })
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || m.ctx.Err() != nil {
		p.place.Leave()
		p.cancel()
		return nil, ErrClosed
	}
	m.peers[p] = struct{}{}
	m.byUfrag[p.creds[0].ufrag] = p
	m.stats.pending.Add(1)
	return p, nil
}

// Credentials are the ICE user fragment and password of our side.
func (p *Peer) Credentials() (ufrag, password string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.creds[len(p.creds)-1]
	return c.ufrag, c.password
}

// Named reports whether the client calls itself so, by its newest credentials.
func (p *Peer) Named(ufrag string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.creds[len(p.creds)-1].remoteUfrag == ufrag
}

// Since is when the peer was opened.
func (p *Peer) Since() time.Time { return p.created }

// Remote is where the peer is now; invalid before its first check.
func (p *Peer) Remote() netip.AddrPort {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.path.remote
}

// by reports whether the peer is sent to by a TCP connection now.
func (p *Peer) by(s *stream) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.path.stream == s
}

// Restart makes new credentials (RFC 8445 §9): checks with them, from a client
// that calls itself ufrag now, are answered, and those with the old ones until
// the first such check. The keys stay.
func (p *Peer) Restart(ufrag string) error {
	m := p.mux
	fresh := newCredentials(ufrag)
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, there := m.peers[p]; !there {
		return ErrClosed
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.creds) > 1 {
		delete(m.byUfrag, p.creds[1].ufrag)
		p.creds = p.creds[:1]
	}
	p.creds = append(p.creds, fresh)
	m.byUfrag[fresh.ufrag] = p
	return nil
}

// credentials of a user fragment of ours; the zero value when it is none.
func (p *Peer) credentials(ufrag string) credentials {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.creds {
		if c.ufrag == ufrag {
			return c
		}
	}
	return credentials{}
}

// reached records an authenticated check: a new address is one of ours from now
// on, the newest nominated one is where we send. The first starts the handshake.
// It returns the address to add to and the one to take out of the Mux's table.
func (p *Peer) reached(at path, nominated bool, now time.Time) (add, forget netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return add, forget
	}
	p.checked = now
	if at.stream == nil {
		p.byUDP = now
	}
	if at.stream == nil && !slices.Contains(p.known, at.remote) {
		p.known = append(p.known, at.remote)
		add = at.remote
		if len(p.known) > maxAddresses {
			forget = p.known[0]
			p.known = slices.Delete(p.known, 0, 1)
		}
	}
	if p.link == nil {
		p.path, p.link = at, newLink(p.mux.socket, at)
		if !p.mux.spawn(p.connect) {
			p.closed = true
		}
	} else if nominated && at != p.path && (at.stream == nil || p.path.stream != nil || now.Sub(p.byUDP) > preferUDP) {
		p.path = at
		p.link.move(at)
		if p.connected {
			p.handler.Moved(p.mux.socket.prepare(at))
		}
	}
	return add, forget
}

// connect runs the handshake and gives the keys to the handler.
func (p *Peer) connect() {
	ctx, cancel := context.WithDeadline(p.ctx, p.created.Add(connectWithin))
	defer cancel()
	keys, err := handshake(ctx, p.link, p.mux.identity, p.fingerprint)
	if err != nil {
		p.log.Debug("webrtc handshake failed", "error", err)
		p.handler.Ended("handshake failed")
		return
	}
	select {
	case <-time.After(settle):
	case <-ctx.Done():
		return
	}
	if p.welcome(keys) {
		p.handler.Ended("closed by the peer")
	}
}

// welcome gives the keys to the handler, and says whether the peer has left
// meanwhile.
func (p *Peer) welcome(keys *Keys) (left bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.left {
		return p.left
	}
	p.connected = true
	p.place.Leave()
	p.mux.stats.pending.Add(-1)
	p.handler.Connected(keys, p.mux.socket.prepare(p.path))
	return false
}

// dtls handles a DTLS datagram from one of the peer's addresses. It says whether
// the peer has ended the session.
func (p *Peer) dtls(b []byte, from path, now time.Time) (over bool) {
	p.mu.Lock()
	missed := false
	switch {
	case p.closed || p.link == nil:
	case !p.connected && !p.link.done():
		p.left = p.left || b[0] == dtlsAlert // which the handshake may not look at any more
		p.link.feed(b)
	case b[0] == dtlsHandshake || b[0] == dtlsChangeCipherSpec:
		// The client lacks our Finished, so it could not open what came since.
		p.link.again()
		missed = p.connected
	case b[0] == dtlsAlert:
		// It cannot be authenticated any more; the address was.
		over = from == p.path
	}
	p.mu.Unlock()
	if missed {
		p.handler.Missed(now)
	}
	return over
}

// waiting reports whether the handshake is still to come.
func (p *Peer) waiting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.connected && !p.closed
}

// expired says why the peer must end by itself; "" when it need not.
func (p *Peer) expired(now time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
	case !p.connected && now.Sub(p.created) >= connectWithin:
		return "did not connect"
	case p.connected && now.Sub(p.checked) >= idleAfter:
		return "no checks for 30 s"
	}
	return ""
}

// Close ends the peer, which is told. Idempotent; no method of the handler is
// called any more, but one may be under way.
func (p *Peer) Close() {
	m := p.mux
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.peers, p)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.creds {
		delete(m.byUfrag, c.ufrag)
	}
	for _, a := range p.known {
		if m.byAddr[a] == p {
			delete(m.byAddr, a)
		}
	}
	if p.closed {
		return
	}
	p.closed = true
	p.place.Leave()
	p.cancel()
	if p.connected {
		p.link.bye()
	} else {
		m.stats.pending.Add(-1)
		m.stats.failed.Add(1)
	}
}
