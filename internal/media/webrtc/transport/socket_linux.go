package transport

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawSocket is the descriptor for sends that do not take the connection's write
// lock, so that senders on several cores do not queue up for it.
type rawSocket struct {
	fd      int
	v6      bool
	segment bool // the kernel knows UDP_SEGMENT
	in      *inbox

	mu     sync.RWMutex // held while write writes
	closed bool
}

// open sets the socket's options.
func (s *socket) open() error {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(d uintptr) {
		fd := int(d)
		s.raw.fd = fd
		domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
		if err != nil {
			failed = err
			return
		}
		s.raw.v6 = domain == unix.AF_INET6
		// As root the limits of the system do not apply; else as much as allowed.
		for _, o := range [][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
			if unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[0], socketBuffer) != nil {
				_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[1], socketBuffer)
			}
		}
		if s.wild && s.raw.v6 {
			failed = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		} else if s.wild {
			failed = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		}
		_, err = unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT)
		s.raw.segment = err == nil
		failed = errors.Join(failed, s.take(fd))
	})
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	// Only now: it takes the socket from the poller and leaves the other descriptor.
	return errors.Join(s.conn.Close(), unix.SetNonblock(s.raw.fd, false))
}

// localAddress reads the address that a datagram was sent to from its control
// messages.
func localAddress(oob []byte) netip.Addr {
	for len(oob) >= unix.CmsgLen(0) {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			break
		}
		switch {
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			return netip.AddrFrom16([16]byte(data[:16])).Unmap()
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			return netip.AddrFrom4([4]byte(data[8:12]))
		}
		oob = rest
	}
	return netip.Addr{}
}

// appendMessage appends a control message with n bytes of data and returns them.
func appendMessage(oob []byte, level, kind int32, n int) (all, data []byte) {
	at := len(oob)
	all = append(oob, make([]byte, unix.CmsgSpace(n))...)
	h := (*unix.Cmsghdr)(unsafe.Pointer(&all[at]))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(n))
	return all, all[at+unix.CmsgLen(0) : at+unix.CmsgLen(n)]
}

// sourceMessage is the control message that sets the source address.
func sourceMessage(p path) []byte {
	if !p.local.IsValid() {
		return nil
	}
	if p.remote.Addr().Is4() {
		all, data := appendMessage(nil, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		a := p.local.As4()
		copy(data[4:], a[:])
		return all
	}
	all, data := appendMessage(nil, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
	a := p.local.As16()
	copy(data, a[:])
	return all
}

// destination is a path made ready for send. For one goroutine at a time.
type destination struct {
	to      unix.Sockaddr
	source  []byte // control message of the source address
	both    []byte // that, then UDP_SEGMENT
	segment []byte // UDP_SEGMENT's value in both
	offload bool   // off once the system refused it on this path
}

// destination prepares a path.
func (s *socket) destination(p path) destination {
	d := destination{source: sourceMessage(p), offload: s.raw.segment}
	both := append([]byte(nil), d.source...)
	d.both, d.segment = appendMessage(both, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2)
	if a := p.remote.Addr(); s.raw.v6 {
		d.to = &unix.SockaddrInet6{Port: int(p.remote.Port()), Addr: a.As16(), ZoneId: zone(a)}
	} else {
		d.to = &unix.SockaddrInet4{Port: int(p.remote.Port()), Addr: a.As4()}
	}
	return d
}

// zone is the interface index of a link-local address.
func zone(a netip.Addr) uint32 {
	if a.Zone() == "" {
		return 0
	}
	i, err := net.InterfaceByName(a.Zone())
	if err != nil {
		return 0
	}
	return uint32(i.Index)
}

// refusesOffload says whether a send failed for lack of offload on this path: a
// device without checksums, an old kernel.
func refusesOffload(err error) bool {
	for _, no := range []error{unix.EINVAL, unix.EIO, unix.ENOPROTOOPT, unix.EMSGSIZE} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// send sends a train without waiting. errNoRoom when the socket is full.
func (s *socket) send(d *destination, b []byte, t train) error {
	if t.count > 1 && d.offload {
		binary.NativeEndian.PutUint16(d.segment, uint16(t.size))
		err := s.sendmsg(d, b, d.both)
		if !refusesOffload(err) {
			return err
		}
		d.offload = false // from now on one by one
	}
	for len(b) > 0 {
		n := min(t.size, len(b))
		if err := s.sendmsg(d, b[:n], d.source); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func (s *socket) sendmsg(d *destination, b, oob []byte) error {
	for {
		_, err := unix.SendmsgN(s.raw.fd, b, oob, d.to, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch err {
		case unix.EINTR:
			continue
		case unix.EAGAIN, unix.ENOBUFS:
			return errNoRoom
		}
		return err
	}
}
