package live

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"glimpse/internal/media/udp"
)

// Times of a connection (§4.8, and libsrt's defaults).
const (
	idleTime     = 5 * time.Second // without a packet the peer is gone
	deafTime     = 9 * time.Second // without confirming what is sent all the time it reads nothing (FAULTS F10)
	keepAlive    = time.Second
	ackAgain     = 100 * time.Millisecond
	nakMin       = 20 * time.Millisecond
	nakRanges    = 128
	rttStart     = 100 * time.Millisecond
	dropMin      = time.Second // packets are kept for the peer at least so long (§4.6)
	driftSamples = 512
	driftStep    = 5 * time.Millisecond
	keyPackets   = 1 << 24 // a key is changed after so many (§6.1.6)
	keyAhead     = 1 << 12 // and announced so many before
)

// Why a peer is given up.
var (
	errIdle = errors.New("srt: nothing heard from the peer for 5 s")
	errDeaf = errors.New("srt: the peer confirmed nothing for 9 s")
)

// Stats of a connection.
type Stats struct {
	Received     uint64 // packets, each counted once
	Lost         uint64 // that never came, or too late
	Resent       uint64 // that came at a second attempt
	Undecrypted  uint64 // that could not be decrypted
	Sent         uint64 // packets, each counted once
	SentAgain    uint64
	Dropped      uint64 // not acknowledged in time: the peer does not have them
	Unconfirmed  int    // kept for the peer
	RTT          time.Duration
	ReceiveDelay time.Duration // latency, negotiated
	SendDelay    time.Duration
}

// Conn is one connection. Read is for one goroutine, Write for one; everything
// else may be called from anywhere.
type Conn struct {
	socket *socket
	terms
	start   time.Time
	onClose func()
	call    *call // of whoever dialled

	wake chan struct{} // something to read
	done chan struct{}

	mu       sync.Mutex
	err      error // why done is closed
	over     bool  // the peer said goodbye: what is there is read at once
	draining bool  // nothing is written any more: acknowledgements are not confirmed
	in       *receiver
	out      *sender
	reading  []byte // what Read gave out last
	crypto   crypto
	to       udp.Destination // of path
	train    [][]byte        // packets that leave together
	timing   timing
	scratch  []byte
	stats    Stats
}

// terms are what the handshake agreed.
type terms struct {
	id, peer             uint32 // socket ids; peer is 0 until somebody agreed
	path                 udp.Path
	mtu                  int
	recvDelay, sendDelay time.Duration // latency each way
}

// timing is what a connection knows of time. Guarded by Conn.mu.
type timing struct {
	base      time.Duration // our time at the peer's time 0
	stamp     int64         // the peer's newest timestamp, unwrapped, in µs
	heard     time.Time
	said      time.Time
	wrote     time.Duration // the last payload
	rtt, vary time.Duration
	ackSeq    uint32 // last acknowledged
	ackAt     time.Duration
	ackRoom   int // that was told then
	ackNumber uint32
	acks      [64]time.Duration // when they were sent, by number
	light     int               // packets since
	// patience is the time by which packets are given up: now, but never at more
	// than twice its pace. After a stall of ours the packets that are missing may
	// well wait in the socket.
	patience time.Duration
	drift    drift
}

func newConn(s *socket, to udp.Path, start time.Time, seq uint32) *Conn {
	c := &Conn{
		socket: s, terms: terms{path: to}, start: start, in: newReceiver(seq, &s.memory), out: newSender(seq, &s.memory), to: s.pc.Destination(to),
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	c.timing = timing{heard: time.Now(), said: time.Now(), rtt: rttStart, vary: rttStart / 2, ackSeq: seq}
	return c
}

// PayloadSize is how many bytes a Write may have: MaxPayload, or less when the
// peer's packets are smaller.
func (c *Conn) PayloadSize() int { return min(c.mtu-28-headerSize, MaxPayload) }

// since is the connection's own time.
func (c *Conn) since(t time.Time) time.Duration { return t.Sub(c.start) }

// Done is closed when the connection was closed or lost. The peer's goodbye is
// heard by Read and Write.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Stats returns a snapshot.
func (c *Conn) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.stats
	st.Received, st.Lost, st.Resent = c.in.packets, c.in.lost, c.in.resent
	st.Sent, st.SentAgain, st.Dropped, st.Unconfirmed = c.out.packets, c.out.resent, c.out.dropped, c.out.waiting()
	st.RTT, st.ReceiveDelay, st.SendDelay = c.timing.rtt, c.recvDelay, c.sendDelay
	return st
}

// Read waits for the next payload whose time has come. The bytes are valid until
// the next call. After the peer's goodbye it gives what is left and then io.EOF;
// after Close net.ErrClosed.
func (c *Conn) Read() ([]byte, error) {
	for {
		c.mu.Lock()
		c.in.release(c.reading)
		c.reading = nil
		now, patience := c.since(time.Now()), c.timing.patience
		if c.over {
			now, patience = 1<<63-1, 1<<63-1
		}
		if b, ok := c.in.pop(now, patience); ok {
			c.reading = b
			c.mu.Unlock()
			return b, nil
		}
		err := c.err
		if c.over && err == nil {
			err = io.EOF
		}
		c.mu.Unlock()
		if err != nil {
			return nil, err
		}
		select {
		case <-c.wake:
		case <-c.done:
		}
	}
}

// Ready reports whether Read would return something at once.
func (c *Conn) Ready() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil || c.over || c.in.ripe(c.since(time.Now()), c.timing.patience)
}

// Write sends a payload of at most PayloadSize bytes, which are copied. It never
// waits: what the network loses for longer than the latency is dropped and
// counted.
func (c *Conn) Write(payload []byte) (int, error) { return c.WriteChunks(payload, len(payload)) }

// trainMax is how many packets leave together at most.
const trainMax = 16

// WriteChunks is Write of payloads of size bytes each, the last of which may be shorter.
// They leave together.
func (c *Conn) WriteChunks(b []byte, size int) (int, error) {
	if size > c.PayloadSize() {
		return 0, errors.New("srt: payload is too long")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil:
		return 0, c.err
	case c.over:
		return 0, io.EOF
	}
	defer c.depart()
	at := time.Now()
	now := c.since(at)
	c.timing.wrote, c.timing.said = now, at
	for rest := b; len(rest) > 0; {
		n := min(size, len(rest))
		c.train = append(c.train, c.packet(rest[:n], now))
		rest = rest[n:]
		if len(c.train) == trainMax {
			c.depart()
		}
	}
	return len(b), nil
}

// packet makes a packet of a payload and keeps it for the peer. Conn.mu is held.
func (c *Conn) packet(payload []byte, now time.Duration) []byte {
	seq := c.out.next
	flags := flagSolo | c.crypto.sending()
	number := uint32(c.out.packets+1) & (1<<26 - 1)
	b := append(c.out.memory.get(), words(seq, uint32(flags)<<24|number, uint32(now/time.Microsecond), c.peer)...)
	b = append(b, payload...)
	if c.crypto.tx != nil {
		c.crypto.tx.crypt(flags, seq, b[headerSize:])
	}
	c.out.push(b, now)
	return b
}

// depart sends the train. Like the network it may lose packets. Conn.mu is held.
func (c *Conn) depart() {
	if len(c.train) > 0 {
		_ = c.socket.pc.SendPackets(&c.to, c.train)
		clear(c.train) // they are the sender's
		c.train = c.train[:0]
	}
}

// send writes a whole packet. Conn.mu is held.
func (c *Conn) send(b []byte) {
	if c.err == nil {
		c.timing.said = time.Now()
		_ = c.socket.pc.Send(&c.to, b, len(b))
	}
}

// control sends a control packet. Conn.mu is held.
func (c *Conn) control(kind, subtype uint16, info uint32, body []byte) {
	stamp := uint32(c.since(time.Now()) / time.Microsecond)
	c.scratch = append(appendControl(c.scratch[:0], kind, subtype, info, stamp, c.peer), body...)
	c.send(c.scratch)
}

// Close says goodbye and ends the connection; it is needed even when the peer has
// ended it before. Idempotent.
func (c *Conn) Close() error {
	c.mu.Lock()
	if c.err == nil && !c.over {
		c.control(typeShutdown, 0, 0, words(0))
	}
	c.mu.Unlock()
	c.fail(net.ErrClosed)
	if c.call != nil { // the socket is its own
		c.socket.close()
	}
	return nil
}

// handOut is how much later than the latency says a peer may hand out what it has: its
// clock began when it took the handshake, and its program reads when it has the time.
const handOut = 2 * time.Second

// Drain waits until the peer has everything that was written and has handed it out, as
// it says itself by how free its buffer is: what waits there at the goodbye is lost to
// libsrt's readers. It waits until ctx ends, or 2 s and the latency after the last Write.
// Nothing may be written afterwards; Close follows.
func (c *Conn) Drain(ctx context.Context) {
	t := time.NewTicker(tick)
	defer t.Stop()
	for c.owes() {
		select {
		case <-t.C:
		case <-c.done:
			return
		case <-ctx.Done():
			return
		}
	}
}

// owes reports whether the peer misses something, or has not handed it out.
func (c *Conn) owes() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	now, played := c.since(time.Now()), c.timing.wrote+c.sendDelay+tick
	if c.over || c.out.packets == 0 || now > played+handOut {
		return false
	}
	return c.out.waiting() > 0 || now < played || !c.out.theirs.empty(now)
}

// fail ends the connection.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	first := c.err == nil
	if first {
		c.err = err
		close(c.done)
	}
	c.mu.Unlock()
	if first {
		c.socket.remove(c)
		if c.onClose != nil {
			c.onClose()
		}
	}
}

// tick does what is due, and ends a connection whose peer is to be given up.
func (c *Conn) tick(at time.Time) {
	if err := c.due(at); err != nil {
		c.fail(err)
	}
}

// due does what is due; an error says why the peer is given up.
func (c *Conn) due(at time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, t := c.since(at), &c.timing
	switch {
	case c.err != nil:
		return nil
	case at.Sub(t.heard) > idleTime:
		return errIdle
	case c.peer == 0:
		return nil // nobody has agreed yet
	case c.out.deaf(now - deafTime):
		return errDeaf
	}
	c.acknowledge(now)
	c.report(now)
	t.patience = min(now, t.patience+2*tick)
	if c.in.ripe(now, t.patience) {
		c.signal()
	}
	c.out.expire(now - max(c.sendDelay*5/4, dropMin) - 2*tick)
	c.crypto.announce(c, now)
	if at.Sub(t.said) >= keepAlive {
		c.control(typeKeepAlive, 0, 0, words(0))
	}
	return nil
}

// signal wakes Read.
func (c *Conn) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// nakEvery is how long the peer has to send again what was reported (§4.8.2).
// libsrt sends nothing again that it sent less than a round trip, less four times
// its variance, before, and forgets that it was asked.
func (c *Conn) nakEvery() time.Duration {
	rtt := c.timing.rtt
	return max(rtt-4*c.timing.vary+tick/2, rtt/2, nakMin)
}

// acknowledge tells the peer what came and how much room there is: at once when something
// came, again while that waits to be read, and a last time when nothing does any more.
func (c *Conn) acknowledge(now time.Duration) {
	t := &c.timing
	room := c.in.room()
	read := c.in.next == c.in.end && room == t.ackRoom
	if c.in.packets == 0 || (c.in.have == t.ackSeq && (read || now-t.ackAt < ackAgain)) {
		return
	}
	t.ackSeq, t.ackAt, t.ackRoom, t.light = c.in.have, now, room, 0
	t.ackNumber++
	t.acks[t.ackNumber%uint32(len(t.acks))] = now
	rate := uint32(0)
	if s := now.Seconds(); s > 0 {
		rate = uint32(float64(c.in.packets) / s)
	}
	c.control(typeACK, 0, t.ackNumber, words(
		c.in.have, uint32(t.rtt/time.Microsecond), uint32(t.vary/time.Microsecond), uint32(room),
		rate, 0, rate*MaxPayload,
	))
}

// report tells the peer what is missing still (§3.2.5).
func (c *Conn) report(now time.Duration) {
	var list []uint32
	c.in.missing(nakRanges, tick/2, c.nakEvery(), now, func(from, to uint32) { list = appendRange(list, from, to) })
	if len(list) > 0 {
		c.control(typeNAK, 0, 0, words(list...))
	}
}
