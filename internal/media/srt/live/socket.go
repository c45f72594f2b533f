package live

import (
	"encoding/binary"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"glimpse/internal/media/udp"
)

const (
	// tick is how often connections are looked at: acknowledgements, loss reports and
	// deliveries are at most so late (§4.8).
	tick = 10 * time.Millisecond
	// While there are connections packets wait in the socket for so long, that many are
	// read at once; briefly after somebody asked to be let in, which takes two turns.
	pause, briefly = tick / 2, time.Millisecond
	asking         = 100 * time.Millisecond
)

// socketBuffer is what the kernel is asked to keep: a key frame comes in one go.
const socketBuffer = 4 << 20

// socket is a UDP socket with the connections on it.
type socket struct {
	pc    *udp.Socket
	start time.Time
	// stranger handles a packet that belongs to no connection.
	stranger func(h header, packet []byte, from udp.Path)
	panicked func(p any)

	mu    sync.RWMutex
	conns map[uint32]*Conn

	memory memory    // of the connections' packets
	asked  time.Time // when a stranger's packet came last; the reader's

	once sync.Once
	done chan struct{}
	wg   sync.WaitGroup
}

func newSocket(pc *udp.Socket, panicked func(any)) *socket {
	return &socket{
		pc: pc, start: time.Now(), panicked: panicked, conns: map[uint32]*Conn{}, done: make(chan struct{}),
	}
}

// run starts the socket's goroutine.
func (s *socket) run() { s.wg.Go(s.serve) }

// close ends all connections without a goodbye and waits for the goroutine.
// Idempotent; not to be called by it.
func (s *socket) close() {
	s.once.Do(func() {
		close(s.done)
		_ = s.pc.Stop()
		for _, c := range s.all(nil) {
			c.fail(net.ErrClosed) // it sends nothing any more
		}
		s.wg.Wait()
		_ = s.pc.Close()
	})
	s.wg.Wait()
}

// all appends the connections to a list.
func (s *socket) all(list []*Conn) []*Conn {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.AppendSeq(list, maps.Values(s.conns))
}

// count is how many connections there are.
func (s *socket) count() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.conns)
}

// add puts a connection under a number of its own; false when the socket is closed.
func (s *socket) add(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.done:
		return false
	default:
	}
	for c.id == 0 || s.conns[c.id] != nil {
		c.id = random32()
	}
	s.conns[c.id] = c
	s.pc.Wake() // it may be waiting for a packet
	return true
}

func (s *socket) remove(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c.id)
}

// serve reads packets and looks at the connections until the socket is closed. While
// there are none it waits for a packet: a hundred wakings a second are most of what an
// idle server would cost.
func (s *socket) serve() {
	take := func(d udp.Datagram) {
		if len(d.Data) >= headerSize {
			s.handle(d)
		}
	}
	var conns []*Conn
	var looked time.Time
	for {
		_, err := s.pc.Read(s.pause(s.count()), take)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // an unreachable peer tells so here
			time.Sleep(time.Millisecond)
		}
		if now := time.Now(); now.Sub(looked) >= tick-time.Millisecond {
			looked, conns = now, s.all(conns[:0])
			for _, c := range conns {
				s.tick(c, now)
			}
		}
	}
}

// pause is how long may be slept before the next packets are read.
func (s *socket) pause(conns int) time.Duration {
	switch {
	case conns == 0:
		return 0
	case time.Since(s.asked) < asking:
		return briefly
	}
	return pause
}

// handle deals with one packet; a panic ends the connection that it belongs to.
func (s *socket) handle(d udp.Datagram) {
	h := parseHeader(d.Data)
	s.mu.RLock()
	c := s.conns[h.to]
	s.mu.RUnlock()
	defer s.contain(c)
	switch {
	case c == nil:
		if s.stranger != nil {
			s.asked = d.At
			s.stranger(h, d.Data, d.From)
		}
	case c.path.Remote == d.From.Remote: // a packet from elsewhere is somebody else's (§9)
		c.handle(h, d.Data, d.At)
	}
}

// contain must be deferred by whatever a peer may make fail: a panic ends its
// connection.
func (s *socket) contain(c *Conn) {
	if p := recover(); p != nil {
		s.panicked(p)
		if c != nil {
			c.fail(errFault)
		}
	}
}

var errFault = errors.New("srt: fault while handling a packet")

func (s *socket) tick(c *Conn, now time.Time) {
	defer s.contain(c)
	c.tick(now)
}

// send writes a packet that belongs to no connection yet. Like the network it may lose it.
func (s *socket) send(b []byte, to udp.Path) { _ = s.pc.Write(b, to) }

// words makes bytes of numbers.
func words(list ...uint32) []byte {
	b := make([]byte, 0, 4*len(list))
	for _, v := range list {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}
