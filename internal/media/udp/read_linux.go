package udp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batch is how many datagrams one call takes; atOnce, how many such calls Read makes
// at most before it returns.
const (
	batch  = 32
	atOnce = 64
)

// inbox is what recvmmsg fills. For one goroutine.
type inbox struct {
	headers  [batch]mmsghdr
	iovecs   [batch]unix.Iovec
	names    [batch]unix.RawSockaddrAny
	controls [batch][96]byte
	buffers  [batch][MaxDatagram]byte
	stopped  atomic.Bool
}

// mmsghdr is the kernel's struct mmsghdr.
type mmsghdr struct {
	unix.Msghdr
	length uint32
}

// Read hands over what has come and says how many datagrams that were. Without a
// pause it waits for the first, or for Wake. With one it sleeps until the next multiple
// of it and takes what is there then, which may be nothing. After Stop it is
// net.ErrClosed; other errors are about one peer, and Read may be called again.
func (s *Socket) Read(pause time.Duration, take func(Datagram)) (int, error) {
	in := s.raw.in
	if err := s.raw.waiter.wait(pause); err != nil {
		return 0, err
	}
	total := 0
	for range atOnce {
		n, err := in.fill(s.raw.fd)
		if err != nil {
			return total, err
		}
		now := time.Now()
		for i := range n {
			take(s.datagram(i, now))
		}
		if total += n; n < batch {
			break
		}
	}
	return total, nil
}

// fill takes what is there.
func (in *inbox) fill(fd int) (int, error) {
	if in.stopped.Load() {
		return 0, net.ErrClosed
	}
	for i := range in.headers {
		in.iovecs[i].Base = &in.buffers[i][0]
		in.iovecs[i].SetLen(MaxDatagram)
		h := &in.headers[i]
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&in.names[i])), unix.SizeofSockaddrAny
		h.Iov, h.Control = &in.iovecs[i], &in.controls[i][0]
		h.SetIovlen(1)
		h.SetControllen(len(in.controls[i]))
	}
	n, _, err := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&in.headers[0])), batch, unix.MSG_DONTWAIT, 0, 0)
	switch err {
	case 0:
		return int(n), nil
	case unix.EINTR, unix.EAGAIN:
		return 0, nil
	}
	return 0, err
}

// datagram is the one in a place of the inbox.
func (s *Socket) datagram(i int, now time.Time) Datagram {
	in := s.raw.in
	local, age := controls(in.controls[i][:in.headers[i].Controllen], now)
	return Datagram{
		Data: in.buffers[i][:in.headers[i].length], At: now.Add(-age),
		From: Path{Remote: remoteAddress(&in.names[i]), Local: local},
	}
}

// maxAge: a datagram that claims to be older came while the clock was set.
const maxAge = 10 * time.Second

// controls reads control messages: the address that a datagram was sent to, and how
// long ago it came.
func controls(oob []byte, now time.Time) (local netip.Addr, age time.Duration) {
	for len(oob) >= unix.CmsgLen(0) {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			break
		}
		switch {
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SCM_TIMESTAMPNS && len(data) >= 16:
			came := int64(binary.NativeEndian.Uint64(data))*int64(time.Second) + int64(binary.NativeEndian.Uint64(data[8:]))
			if age = time.Duration(now.UnixNano() - came); age < 0 || age > maxAge {
				age = 0
			}
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			local = netip.AddrFrom16([16]byte(data[:16])).Unmap()
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			local = netip.AddrFrom4([4]byte(data[8:12]))
		}
		oob = rest
	}
	return local, age
}

// remoteAddress reads the kernel's form of an address.
func remoteAddress(a *unix.RawSockaddrAny) netip.AddrPort {
	port := func(p *uint16) uint16 { return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(p))[:]) }
	switch a.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(a))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), port(&in.Port))
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(a))
		at := netip.AddrFrom16(in.Addr).Unmap()
		if in.Scope_id != 0 && at.Is6() {
			if i, err := net.InterfaceByIndex(int(in.Scope_id)); err == nil {
				at = at.WithZone(i.Name)
			}
		}
		return netip.AddrPortFrom(at, port(&in.Port))
	}
	return netip.AddrPort{}
}

// Wake makes a Read return that waits, or the next one that would.
func (s *Socket) Wake() { _ = s.raw.waiter.wake() }

// Stop ends Read; what is written is sent still.
func (s *Socket) Stop() error {
	s.raw.in.stopped.Store(true)
	return s.raw.waiter.wake()
}
