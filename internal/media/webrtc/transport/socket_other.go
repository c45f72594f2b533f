//go:build !linux

package transport

import "net/netip"

// rawSocket is empty: sends go through the connection.
type rawSocket struct{}

// open asks for large buffers; the system may give less.
func (s *socket) open() error {
	_ = s.conn.SetReadBuffer(socketBuffer)
	_ = s.conn.SetWriteBuffer(socketBuffer)
	return nil
}

func localAddress([]byte) netip.Addr { return netip.Addr{} }

func sourceMessage(path) []byte { return nil }

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
