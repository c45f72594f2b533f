package transport

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"glimpse/internal/media/udp"
	"glimpse/internal/strangers"
)

const (
	// A TCP connection's queue is full when it holds so much, or its oldest packet
	// has waited for so long: media that late are of no use.
	streamQueue = 512 << 10
	streamDelay = time.Second
	// streamLimit is never exceeded: a turn of the sender comes after Full.
	streamLimit = 1 << 20
	// streamBuffer bounds what the system queues behind ours.
	streamBuffer = 128 << 10

	// A piece that the system does not take for so long ends the connection, and who
	// watches by it: with what the buffers take before, who reads nothing is let go
	// after about 10 s (FAULTS F10), and who reads slowly stays.
	streamWrite   = 8 * time.Second
	streamPiece   = 32 << 10
	streamSilence = 40 * time.Second

	maxStreams        = 1024
	maxStreamsPerSite = 64
)

var errStreamClosed = errors.New("the connection is closed")

// stream is one TCP connection of a peer: packets both ways, each behind its
// length in two bytes (RFC 4571 §2).
type stream struct {
	conn  *net.TCPConn
	at    path
	peer  atomic.Pointer[Peer] // whose it is, once a check said so
	place *strangers.Place     // until then

	mu      sync.Mutex
	queue   []byte
	since   time.Time // when the oldest in queue came
	writing time.Time // and the oldest of those that are being written; zero for none
	closed  bool
	wake    chan struct{}
}

// send queues the packets of a train. udp.ErrNoRoom when there is no place.
func (s *stream) send(b []byte, t train) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errStreamClosed
	}
	if len(s.queue)+len(b)+2*t.count > streamLimit {
		return udp.ErrNoRoom
	}
	if len(s.queue) == 0 {
		s.since = time.Now()
	}
	for len(b) > 0 {
		n := min(t.size, len(b))
		s.queue = binary.BigEndian.AppendUint16(s.queue, uint16(n))
		s.queue = append(s.queue, b[:n]...)
		b = b[n:]
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// full reports whether what is queued is too much or too old.
func (s *stream) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	late := func(since time.Time) bool { return time.Since(since) > streamDelay }
	return len(s.queue) > streamQueue || len(s.queue) > 0 && late(s.since) || !s.writing.IsZero() && late(s.writing)
}

// write empties the queue until the connection is closed.
func (s *stream) write() {
	var spare []byte
	for range s.wake {
		s.mu.Lock()
		batch := s.queue
		if len(batch) == 0 {
			s.mu.Unlock()
			continue
		}
		s.queue, s.writing = spare[:0], s.since
		s.mu.Unlock()
		var err error
		for piece := range slices.Chunk(batch, streamPiece) {
			_ = s.conn.SetWriteDeadline(time.Now().Add(streamWrite))
			if _, err = s.conn.Write(piece); err != nil {
				break
			}
		}
		s.mu.Lock()
		s.writing = time.Time{}
		s.mu.Unlock()
		if err != nil {
			_ = s.conn.Close() // which ends the reader, and that closes wake
		}
		if p := s.peer.Load(); p != nil && errors.Is(err, os.ErrDeadlineExceeded) && p.by(s) {
			p.handler.Ended("reads nothing")
		}
		spare = batch
	}
}

// close ends sending. Called once, by the reader.
func (s *stream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	close(s.wake)
}

// accept takes TCP connections until the listener is closed.
func (m *Mux) accept() {
	for {
		conn, err := m.listener.AcceptTCP()
		switch {
		case err == nil:
			m.open(conn)
		case errors.Is(err, net.ErrClosed):
			return
		default: // too many files, for example
			m.log.Debug("webrtc accept", "error", err)
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// open serves a connection if there is a place for it.
func (m *Mux) open(conn *net.TCPConn) {
	remote, local := addressOf(conn.RemoteAddr()), addressOf(conn.LocalAddr())
	s := &stream{conn: conn, wake: make(chan struct{}, 1)}
	s.at = path{remote: remote, local: local.Addr(), stream: s}
	if !m.enter(s) {
		m.stats.streamsRefused.Add(1)
		_ = conn.Close()
		return
	}
	s.place = m.doors.streams.Enter(remote.Addr(), func() { _ = conn.Close() })
	_ = conn.SetNoDelay(true)
	_ = conn.SetWriteBuffer(streamBuffer)
	m.tasks.Go(s.write)
	m.tasks.Go(func() {
		defer m.leave(s)
		defer s.place.Leave()
		defer s.close()
		defer func() { _ = conn.Close() }()
		m.receive(s)
	})
}

func addressOf(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := t.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// enter gives a connection a place.
func (m *Mux) enter(s *stream) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || len(m.streams) >= maxStreams {
		return false
	}
	same := 0
	for other := range m.streams {
		if Site(other.at.remote.Addr()) == Site(s.at.remote.Addr()) {
			same++
		}
	}
	if same >= maxStreamsPerSite {
		return false
	}
	m.streams[s] = struct{}{}
	return true
}

func (m *Mux) leave(s *stream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.streams, s)
}

// receive reads packets until the connection ends. A stranger has the time of a
// session to connect, and one packet's memory.
func (m *Mux) receive(s *stream) {
	_ = s.conn.SetReadDeadline(time.Now().Add(connectWithin))
	var armed time.Time
	buf := make([]byte, udp.MaxDatagram)
	for {
		b, err := readFrame(s.conn, buf)
		if err != nil {
			return
		}
		now := time.Now()
		m.datagram(b, s.at, now)
		if s.peer.Load() != nil && now.Sub(armed) > time.Second {
			armed = now
			_ = s.conn.SetReadDeadline(now.Add(streamSilence))
		}
	}
}

// readFrame reads one packet into buf. Longer ones are an error.
func readFrame(r io.Reader, buf []byte) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(head[:]))
	if n > len(buf) {
		return nil, errors.New("a packet is longer than the network's")
	}
	if _, err := io.ReadFull(r, buf[:n]); err != nil {
		return nil, err
	}
	return buf[:n], nil
}

// closeStreams ends all connections.
func (m *Mux) closeStreams() {
	m.mu.Lock()
	list := slices.Collect(func(yield func(*stream) bool) {
		for s := range m.streams {
			if !yield(s) {
				return
			}
		}
	})
	m.mu.Unlock()
	for _, s := range list {
		_ = s.conn.Close()
	}
}
