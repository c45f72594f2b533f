package live

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// tick is how often connections are looked at: acknowledgements, loss reports and
// deliveries are at most so late (§4.8).
const tick = 10 * time.Millisecond

// socketBuffer is what the kernel is asked to keep: a key frame comes in one go.
const socketBuffer = 4 << 20

// socket is a UDP socket with the connections on it.
type socket struct {
	pc       *net.UDPConn
	wildcard bool // answers must say where they come from
	start    time.Time
	// stranger handles a packet that belongs to no connection.
	stranger func(h header, packet []byte, from path)
	panicked func(p any)

	mu    sync.RWMutex
	conns map[uint32]*Conn

	busy chan struct{} // has something when there is a first connection
	once sync.Once
	done chan struct{}
	wg   sync.WaitGroup
}

// path is where a packet came from, and the control message that sends an answer
// from the address that was asked.
type path struct {
	addr netip.AddrPort
	oob  string // comparable, and empty for nearly all sockets
}

func newSocket(pc *net.UDPConn, wildcard bool, panicked func(any)) *socket {
	s := &socket{
		pc: pc, wildcard: wildcard, start: time.Now(), panicked: panicked,
		conns: map[uint32]*Conn{}, busy: make(chan struct{}, 1), done: make(chan struct{}),
	}
	_ = pc.SetReadBuffer(socketBuffer) // as much as the system allows
	_ = pc.SetWriteBuffer(socketBuffer)
	if wildcard {
		_ = ipv6.NewPacketConn(pc).SetControlMessage(ipv6.FlagDst, true) // one of them does nothing
		_ = ipv4.NewPacketConn(pc).SetControlMessage(ipv4.FlagDst, true)
	}
	return s
}

// run starts the socket's goroutines.
func (s *socket) run() {
	s.wg.Go(s.read)
	s.wg.Go(s.ticks)
}

// close ends all connections without a goodbye and waits for the goroutines.
// Idempotent; not to be called by them.
func (s *socket) close() {
	s.once.Do(func() {
		close(s.done)
		_ = s.pc.Close()
		for _, c := range s.all() {
			c.fail(net.ErrClosed)
		}
	})
	s.wg.Wait()
}

func (s *socket) all() []*Conn {
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := make([]*Conn, 0, len(s.conns))
	for _, c := range s.conns {
		list = append(list, c)
	}
	return list
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
	select {
	case s.busy <- struct{}{}:
	default:
	}
	return true
}

func (s *socket) remove(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c.id)
}

// read takes packets off the socket and hands each to its connection. A failing
// socket (an unreachable peer tells so here) is read again.
func (s *socket) read() {
	buf, oob := make([]byte, 1<<11), make([]byte, 128)
	for {
		n, on, _, addr, err := s.pc.ReadMsgUDPAddrPort(buf, oob)
		select {
		case <-s.done:
			return
		default:
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(time.Millisecond)
			continue
		}
		if n >= headerSize {
			addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
			s.handle(buf[:n], addr, oob[:on])
		}
	}
}

// handle deals with one packet; a panic ends the connection that it belongs to.
func (s *socket) handle(packet []byte, from netip.AddrPort, oob []byte) {
	h := parseHeader(packet)
	s.mu.RLock()
	c := s.conns[h.to]
	s.mu.RUnlock()
	defer s.contain(c)
	switch {
	case c == nil:
		if s.stranger != nil {
			s.stranger(h, packet, path{from, s.answerFrom(oob)})
		}
	case c.path.addr == from: // a packet from elsewhere is somebody else's (§9)
		c.handle(h, packet, time.Now())
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

// ticks looks at the connections until the socket is closed. While there are none
// it sleeps: a hundred wakings a second are most of what an idle server would cost.
func (s *socket) ticks() {
	for {
		select {
		case <-s.done:
			return
		case <-s.busy:
		}
		if !s.tickAll() {
			return
		}
	}
}

// tickAll ticks until there is no connection, or the socket is closed (false).
func (s *socket) tickAll() bool {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-s.done:
			return false
		case now := <-t.C:
			conns := s.all()
			if len(conns) == 0 {
				return true
			}
			for _, c := range conns {
				s.tick(c, now)
			}
		}
	}
}

func (s *socket) tick(c *Conn, now time.Time) {
	defer s.contain(c)
	c.tick(now)
}

// send writes a packet. Like the network it may lose it.
func (s *socket) send(b []byte, to path) {
	_, _, _ = s.pc.WriteMsgUDPAddrPort(b, []byte(to.oob), to.addr)
}

// answerFrom makes the control message that sends from where a packet came to.
func (s *socket) answerFrom(oob []byte) string {
	if !s.wildcard || len(oob) == 0 {
		return ""
	}
	var six ipv6.ControlMessage
	if six.Parse(oob) == nil && six.Dst != nil {
		if four := six.Dst.To4(); four == nil {
			return string((&ipv6.ControlMessage{Src: six.Dst}).Marshal())
		} else if !four.IsMulticast() {
			return string((&ipv4.ControlMessage{Src: four}).Marshal())
		}
	}
	var four ipv4.ControlMessage
	if four.Parse(oob) == nil && four.Dst != nil {
		return string((&ipv4.ControlMessage{Src: four.Dst}).Marshal())
	}
	return ""
}

// words makes bytes of numbers.
func words(list ...uint32) []byte {
	b := make([]byte, 0, 4*len(list))
	for _, v := range list {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}
