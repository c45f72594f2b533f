//go:build !linux

package udp

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// rawSocket is Read's scratch: sends go through the connection.
type rawSocket struct {
	buf     [MaxDatagram]byte
	oob     [128]byte
	stopped atomic.Bool
}

// Read hands over what has come and says how many datagrams that were. Without a
// pause it waits for the first, or for Wake. With one it takes what comes up to the next multiple
// of it, which may be nothing. After Stop it is net.ErrClosed; other errors are about
// one peer, and Read may be called again.
func (s *Socket) Read(pause time.Duration, take func(Datagram)) (int, error) {
	var end time.Time
	if pause > 0 {
		end = time.Now().Add(until(pause))
	}
	if err := s.conn.SetReadDeadline(end); err != nil {
		return 0, err
	}
	if s.raw.stopped.Load() { // after that, so that Stop's own deadline holds
		return 0, net.ErrClosed
	}
	for n := 0; ; n++ {
		size, told, _, from, err := s.conn.ReadMsgUDPAddrPort(s.raw.buf[:], s.raw.oob[:])
		switch {
		case err == nil:
			p := Path{Remote: netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), Local: s.asked(s.raw.oob[:told])}
			take(Datagram{Data: s.raw.buf[:size], At: time.Now(), From: p})
			if pause <= 0 {
				return 1, nil
			}
		case s.raw.stopped.Load():
			return n, net.ErrClosed
		case errors.Is(err, os.ErrDeadlineExceeded):
			return n, nil
		default:
			return n, err
		}
	}
}

// asked is the address that a datagram was sent to, where the system tells.
func (s *Socket) asked(oob []byte) netip.Addr {
	if !s.wild || len(oob) == 0 {
		return netip.Addr{}
	}
	var six ipv6.ControlMessage
	if six.Parse(oob) == nil && six.Dst != nil {
		a, _ := netip.AddrFromSlice(six.Dst)
		return a.Unmap()
	}
	var four ipv4.ControlMessage
	if four.Parse(oob) == nil && four.Dst != nil {
		a, _ := netip.AddrFromSlice(four.Dst)
		return a.Unmap()
	}
	return netip.Addr{}
}

// Wake makes a Read return that waits.
func (s *Socket) Wake() { _ = s.conn.SetReadDeadline(time.Now()) }

// Stop ends Read; what is written is sent still.
func (s *Socket) Stop() error {
	s.raw.stopped.Store(true)
	return s.conn.SetReadDeadline(time.Now())
}

// Write sends one datagram to where one came from: rare, and safe after Close.
func (s *Socket) Write(b []byte, p Path) error {
	d := s.Destination(p)
	return s.Send(&d, b, len(b))
}

// Close ends every later Write. Read and Send must not be running. Idempotent.
func (s *Socket) Close() error {
	if err := s.conn.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// open asks for large buffers; the system may give less.
func (s *Socket) open(buffer int) error {
	_ = s.conn.SetReadBuffer(buffer)
	_ = s.conn.SetWriteBuffer(buffer)
	if s.wild { // one of them does nothing
		_ = ipv6.NewPacketConn(s.conn).SetControlMessage(ipv6.FlagDst, true)
		_ = ipv4.NewPacketConn(s.conn).SetControlMessage(ipv4.FlagDst, true)
	}
	return nil
}

// Destination is a path made ready for Send. It is a value; for one goroutine at a
// time.
type Destination struct {
	to     netip.AddrPort
	source []byte // control message of the source address
}

// Destination prepares a path.
func (s *Socket) Destination(p Path) Destination {
	d := Destination{to: p.Remote}
	switch {
	case !p.Local.IsValid():
	case p.Local.Is4():
		d.source = (&ipv4.ControlMessage{Src: p.Local.AsSlice()}).Marshal()
	default:
		d.source = (&ipv6.ControlMessage{Src: p.Local.AsSlice()}).Marshal()
	}
	return d
}

// Send sends datagrams of so many bytes each, the last of which may be shorter.
func (s *Socket) Send(d *Destination, b []byte, size int) error {
	for len(b) > 0 {
		n := min(size, len(b))
		if _, _, err := s.conn.WriteMsgUDPAddrPort(b[:n], d.source, d.to); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// SendPackets sends one datagram of each slice, all of the first one's size but the
// last, which may be shorter.
func (s *Socket) SendPackets(d *Destination, packets [][]byte) error {
	for _, b := range packets {
		if err := s.Send(d, b, len(b)); err != nil {
			return err
		}
	}
	return nil
}
