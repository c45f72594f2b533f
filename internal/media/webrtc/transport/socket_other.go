//go:build !linux

package transport

import (
	"net/netip"
	"time"
)

// rawSocket is read's scratch: sends go through the connection.
type rawSocket struct{ buf [maxDatagram]byte }

// read receives one datagram, whose bytes are valid until the next, and says on
// which path it came. After stop it is an error.
func (s *socket) read() ([]byte, path, error) {
	n, from, err := s.conn.ReadFromUDPAddrPort(s.raw.buf[:])
	return s.raw.buf[:n], path{remote: netip.AddrPortFrom(from.Addr().Unmap(), from.Port())}, err
}

// write sends one datagram that is not media: rare, and safe after close.
func (s *socket) write(b []byte, p path) error {
	if p.stream != nil {
		return p.stream.send(b, train{count: 1, size: len(b), bytes: len(b)})
	}
	_, err := s.conn.WriteToUDPAddrPort(b, p.remote)
	return err
}

// stop ends read; what is written is sent still.
func (s *socket) stop() error { return s.conn.SetReadDeadline(time.Now()) }

// close ends every later write. read and send must not be running.
func (s *socket) close() error { return s.conn.Close() }

// open asks for large buffers; the system may give less.
func (s *socket) open() error {
	_ = s.conn.SetReadBuffer(socketBuffer)
	_ = s.conn.SetWriteBuffer(socketBuffer)
	return nil
}

// destination is a path made ready for send.
type destination struct{ to netip.AddrPort }

func (s *socket) destination(p path) destination { return destination{to: p.remote} }

// send sends a train, one datagram after the other.
func (s *socket) send(d *destination, b []byte, t train) error {
	for len(b) > 0 {
		n := min(t.size, len(b))
		if _, err := s.conn.WriteToUDPAddrPort(b[:n], d.to); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
