package live

import (
	"crypto/hmac"
	crand "crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"glimpse/internal/media/udp"
)

// Reason says why a request is refused (§3.2.1 table 7, and libsrt's
// access_control.h from 1400 on).
type Reason uint32

// The reasons that are used.
const (
	Rogue        Reason = 1004 // nonsense in the handshake
	Backlog      Reason = 1005
	Version      Reason = 1008
	BadSecret    Reason = 1010 // wrong passphrase
	Unsecure     Reason = 1011 // a passphrase is needed, or not expected
	MessageAPI   Reason = 1012 // streams of bytes
	BadRequest   Reason = 1400
	Unauthorized Reason = 1401
	Overload     Reason = 1402
	NotFound     Reason = 1404
	Conflict     Reason = 1409
)

// Config of a Listener. Zero fields take the defaults.
type Config struct {
	Addr     string        // UDP address; port 0 picks a free one
	Latency  time.Duration // how long a lost packet may take to come again, at least; a peer may ask for more; default 120 ms
	Panicked func(p any)   // called when a fault of ours ended a connection
}

// pendingMax is how many requests may wait to be accepted.
const pendingMax = 128

// Listener takes requests on a UDP port. Its methods may be called from anywhere.
type Listener struct {
	cfg    Config
	socket *socket
	secret [32]byte
	asked  chan *Request

	mu       sync.Mutex
	requests map[caller]*Request // pending ones, and those whose connection stands
}

// caller is who asks: peers choose their socket ids.
type caller struct {
	addr   netip.AddrPort
	socket uint32
}

// Listen opens the port. Accept takes requests; Close it.
func Listen(cfg Config) (*Listener, error) {
	if cfg.Latency == 0 {
		cfg.Latency = 120 * time.Millisecond
	}
	if cfg.Panicked == nil {
		cfg.Panicked = func(any) {}
	}
	pc, err := udp.Listen("udp", cfg.Addr, socketBuffer)
	if err != nil {
		return nil, fmt.Errorf("srt: %w", err)
	}
	l := &Listener{
		cfg: cfg, asked: make(chan *Request, pendingMax), requests: map[caller]*Request{},
		socket: newSocket(pc, cfg.Panicked),
	}
	_, _ = crand.Read(l.secret[:]) // never fails
	l.socket.stranger = l.stranger
	l.socket.run()
	return l, nil
}

// Addr is the address that is listened on.
func (l *Listener) Addr() net.Addr { return net.UDPAddrFromAddrPort(l.socket.pc.Addr()) }

// Close ends all connections and waits for the listener's goroutines. Idempotent.
func (l *Listener) Close() error {
	for _, c := range l.socket.all(nil) {
		_ = c.Close()
	}
	l.socket.close()
	return nil
}

// Held counts the requests that wait and the connections that stand.
func (l *Listener) Held() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.requests)
}

// Accept waits for a request: its peer has shown that its address is its own, and
// its handshake is well-formed. After Close it returns net.ErrClosed.
func (l *Listener) Accept() (*Request, error) {
	select {
	case r := <-l.asked:
		return r, nil
	case <-l.socket.done:
		return nil, net.ErrClosed
	}
}

// stranger answers a packet that belongs to no connection.
func (l *Listener) stranger(h header, packet []byte, from udp.Path) {
	if !h.control || h.kind != typeHandshake || h.to != 0 {
		return
	}
	shake, err := parseHandshake(packet[headerSize:])
	if err != nil {
		return
	}
	switch shake.kind {
	case induction:
		shake.version, shake.encryption, shake.extensions = 5, 0, magic
		shake.cookie, shake.peer = l.cookie(from.Remote, 0), from.Remote.Addr()
		l.answer(shake, from)
	case conclusion: // nothing is kept of, or said to, whoever did not show the cookie
		if shake.cookie == l.cookie(from.Remote, 0) || shake.cookie == l.cookie(from.Remote, 1) {
			l.conclude(h, shake, packet[headerSize+handshakeSize:], from)
		}
	}
}

// cookie shows that a peer gets what is sent to its address. It lasts for one to
// two minutes; ago counts minutes back.
func (l *Listener) cookie(addr netip.AddrPort, ago int64) uint32 {
	mac := hmac.New(sha256.New, l.secret[:])
	text, _ := addr.MarshalBinary() // never fails
	mac.Write(binary.BigEndian.AppendUint64(text, uint64(time.Now().Unix()/60-ago)))
	return binary.BigEndian.Uint32(mac.Sum(nil)) | 1 // never 0
}

// answer sends a handshake that still holds the peer's own socket id.
func (l *Listener) answer(shake handshake, to udp.Path) {
	l.socket.send(shake.append(appendControl(nil, typeHandshake, 0, 0, 0, shake.socket), true), to)
}

// conclude checks a request and hands it over.
func (l *Listener) conclude(h header, shake handshake, extensions []byte, from udp.Path) {
	who := caller{from.Remote, shake.socket}
	l.mu.Lock()
	known := l.requests[who]
	l.mu.Unlock()
	if known != nil {
		known.again()
		return
	}
	r := &Request{l: l, who: who, from: from, shake: shake, at: time.Now(), stamp: h.stamp}
	if reason := r.check(extensions); reason != 0 {
		r.say(reason)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.asked <- r:
		l.requests[who] = r
	default:
		r.say(Backlog)
	}
}

// Request is a peer that asks to be let in. One of Accept, Reject and Close must
// be called; its methods are for one goroutine, but Close.
type Request struct {
	l     *Listener
	who   caller
	from  udp.Path
	shake handshake
	at    time.Time
	stamp uint32

	mu       sync.Mutex
	conn     *Conn  // nil until accepted
	response []byte // what accepted it
	closed   bool
}

// minMTU leaves room for one transport packet behind the headers.
const minMTU = 28 + headerSize + 188

// check reads the extensions and says what is wrong, or 0.
func (r *Request) check(extensions []byte) Reason {
	s := &r.shake
	switch {
	case s.version != 5:
		return Version // version 4 has no stream id
	case s.mtu < minMTU || s.extend(extensions) != nil || !s.hello || s.socket == 0:
		return Rogue
	case s.srt < minVersion:
		return Version
	case s.flags&flagByteMode != 0:
		return MessageAPI
	case s.flags&neededFlags != neededFlags, len(s.keys) > 0 && keyLength(s.keys) == 0:
		return Rogue
	}
	s.keys, s.streamID = append([]byte(nil), s.keys...), string([]byte(s.streamID))
	return 0
}

// RemoteAddr is the peer's address, which it has shown to be its own.
func (r *Request) RemoteAddr() net.Addr { return net.UDPAddrFromAddrPort(r.from.Remote) }

// StreamID is what the peer asks for.
func (r *Request) StreamID() string { return r.shake.streamID }

// The refusals of Accept. The peer was told.
var (
	ErrPassphrase    = errors.New("the passphrase is wrong")
	ErrNoPassphrase  = errors.New("this stream needs a passphrase")
	ErrNotEncrypted  = errors.New("this stream has no passphrase: connect without one")
	errAlreadyClosed = errors.New("srt: request is closed")
)

// Accept lets the peer in. passphrase is what it must have encrypted its request
// with; empty: it must not have. On an error it was refused.
func (r *Request) Accept(passphrase string) (*Conn, error) {
	switch encrypted := len(r.shake.keys) > 0; {
	case encrypted && passphrase == "":
		r.Reject(Unsecure)
		return nil, ErrNotEncrypted
	case !encrypted && passphrase != "":
		r.Reject(Unsecure)
		return nil, ErrNoPassphrase
	}
	s, latency := r.shake, uint16(r.l.cfg.Latency/time.Millisecond)
	s.recvDelay, s.sendDelay = max(latency, r.shake.sendDelay), max(latency, r.shake.recvDelay)
	c := newConn(r.l.socket, r.from, r.at, s.seq)
	c.peer, c.mtu = s.socket, int(s.mtu)
	c.recvDelay, c.sendDelay = time.Duration(s.recvDelay)*time.Millisecond, time.Duration(s.sendDelay)*time.Millisecond
	c.timing.stamp, c.timing.base = int64(r.stamp), -time.Duration(r.stamp)*time.Microsecond
	if passphrase != "" {
		if err := c.crypto.answer(s.keys, passphrase); err != nil {
			r.Reject(BadSecret)
			return nil, ErrPassphrase
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || !r.l.socket.add(c) {
		return nil, errAlreadyClosed
	}
	c.onClose = r.forget
	s.socket, s.cookie, s.kind, s.version, s.peer = c.id, 0, conclusion, 5, r.from.Remote.Addr()
	s.srt, s.flags, s.streamID = version, helloFlags, ""
	s.extensions, s.encryption = hasHello, 0
	if len(s.keys) > 0 {
		s.extensions, s.encryption = hasHello|hasKeys, uint16(c.crypto.length/8)
	}
	stamp := uint32(c.since(time.Now()) / time.Microsecond)
	r.response = s.append(appendControl(nil, typeHandshake, 0, 0, stamp, c.peer), true)
	r.conn = c
	r.l.socket.send(r.response, r.from)
	return c, nil
}

// again answers a handshake that came a second time: the answer was lost, or is
// still being thought about.
func (r *Request) again() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.response != nil {
		r.l.socket.send(r.response, r.from)
	}
}

// Reject turns the request down.
func (r *Request) Reject(reason Reason) {
	_ = r.Close()
	r.say(reason)
}

// say sends a refusal.
func (r *Request) say(reason Reason) {
	s := r.shake
	s.kind, s.version, s.hello, s.keys, s.streamID = uint32(reason), 5, false, nil, ""
	s.extensions, s.encryption, s.peer = 0, 0, r.from.Remote.Addr()
	r.l.answer(s, r.from)
}

// Close ends the connection, or forgets the request when it was not accepted. It
// may be called from anywhere. Idempotent.
func (r *Request) Close() error {
	r.mu.Lock()
	r.closed = true
	c := r.conn
	r.mu.Unlock()
	if c != nil {
		return c.Close()
	}
	r.forget()
	return nil
}

func (r *Request) forget() {
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	if r.l.requests[r.who] == r {
		delete(r.l.requests, r.who)
	}
}

// random32 is a number that nobody guesses.
func random32() uint32 {
	var b [4]byte
	_, _ = crand.Read(b[:]) // never fails
	return binary.BigEndian.Uint32(b[:])
}
