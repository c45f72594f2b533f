package udp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawSocket is the descriptor, for calls that take no lock of the standard library's:
// senders on several cores do not queue up for it.
type rawSocket struct {
	fd      int
	v6      bool
	segment bool // the kernel knows UDP_SEGMENT
	in      *inbox
	waiter  *waiter

	mu     sync.RWMutex // held while Write writes
	closed bool
}

// open sets the socket's options.
func (s *Socket) open(buffer int) error {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(d uintptr) {
		fd := int(d)
		domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
		if err != nil {
			failed = err
			return
		}
		s.raw.v6 = domain == unix.AF_INET6
		// As root the limits of the system do not apply; else as much as allowed.
		for _, o := range [][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
			if unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[0], buffer) != nil {
				_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[1], buffer)
			}
		}
		if s.wild && s.raw.v6 {
			failed = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		} else if s.wild {
			failed = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		}
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) // else datagrams come when they are read
		_, err = unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT)
		s.raw.segment = err == nil
		if s.raw.fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
			failed = errors.Join(failed, err)
			return
		}
		s.raw.in = new(inbox)
		s.raw.waiter, err = newWaiter(s.raw.fd)
		failed = errors.Join(failed, err)
	})
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	return s.conn.Close() // it takes the socket from the poller and leaves the other descriptor
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
func sourceMessage(p Path) []byte {
	if !p.Local.IsValid() {
		return nil
	}
	if p.Remote.Addr().Is4() {
		all, data := appendMessage(nil, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		a := p.Local.As4()
		copy(data[4:], a[:])
		return all
	}
	all, data := appendMessage(nil, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
	a := p.Local.As16()
	copy(data, a[:])
	return all
}

// Destination is a path made ready for Send. It is a value; for one goroutine at a
// time.
type Destination struct {
	name    [unix.SizeofSockaddrInet6]byte // the address in the kernel's form
	size    uint32                         // of name
	source  []byte                         // control message of the source address
	both    []byte                         // that, then UDP_SEGMENT
	segment []byte                         // UDP_SEGMENT's value in both
	offload bool                           // off once the system refused it on this path
}

// Destination prepares a path.
func (s *Socket) Destination(p Path) Destination {
	d := Destination{source: sourceMessage(p), offload: s.raw.segment}
	both := append([]byte(nil), d.source...)
	d.both, d.segment = appendMessage(both, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2)
	a := p.Remote.Addr()
	if s.raw.v6 {
		six := a.As16()
		binary.NativeEndian.PutUint16(d.name[:], unix.AF_INET6)
		copy(d.name[8:], six[:])
		binary.NativeEndian.PutUint32(d.name[24:], zone(a))
		d.size = unix.SizeofSockaddrInet6
	} else {
		four := a.As4()
		binary.NativeEndian.PutUint16(d.name[:], unix.AF_INET)
		copy(d.name[4:], four[:])
		d.size = unix.SizeofSockaddrInet4
	}
	binary.BigEndian.PutUint16(d.name[2:], p.Remote.Port())
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

// Send sends datagrams of so many bytes each, the last of which may be shorter, without
// waiting: at most MaxSegments and MaxTrain bytes. ErrNoRoom when the socket is full.
// Not after Close.
func (s *Socket) Send(d *Destination, b []byte, size int) error {
	if len(b) > size && d.offload {
		binary.NativeEndian.PutUint16(d.segment, uint16(size))
		err := s.sendmsg(d, b, d.both)
		if !refusesOffload(err) {
			return err
		}
		d.offload = false // from now on one by one
	}
	for len(b) > 0 {
		n := min(size, len(b))
		if err := s.sendmsg(d, b[:n], d.source); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// SendPackets sends one datagram of each slice, all of the first one's size but the
// last, which may be shorter; in all else it is Send.
func (s *Socket) SendPackets(d *Destination, packets [][]byte) error {
	if len(packets) > 1 && len(packets) <= MaxSegments && d.offload {
		var list [MaxSegments]unix.Iovec
		for i, b := range packets {
			list[i] = vector(b)
		}
		binary.NativeEndian.PutUint16(d.segment, uint16(len(packets[0])))
		err := s.sendVectors(d, list[:len(packets)], d.both)
		if !refusesOffload(err) {
			return err
		}
		d.offload = false
	}
	for _, b := range packets {
		if err := s.sendmsg(d, b, d.source); err != nil {
			return err
		}
	}
	return nil
}

func vector(b []byte) (v unix.Iovec) {
	if len(b) > 0 {
		v.Base = &b[0]
	}
	v.SetLen(len(b))
	return v
}

func (s *Socket) sendmsg(d *Destination, b, oob []byte) error {
	list := [1]unix.Iovec{vector(b)}
	return s.sendVectors(d, list[:], oob)
}

func (s *Socket) sendVectors(d *Destination, list []unix.Iovec, oob []byte) error {
	msg := unix.Msghdr{Name: &d.name[0], Namelen: d.size, Iov: &list[0]}
	msg.SetIovlen(len(list))
	if len(oob) > 0 {
		msg.Control = &oob[0]
		msg.SetControllen(len(oob))
	}
	for {
		_, _, err := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(s.raw.fd), uintptr(unsafe.Pointer(&msg)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch err {
		case 0:
			return nil
		case unix.EINTR:
			continue
		case unix.EAGAIN, unix.ENOBUFS:
			return ErrNoRoom
		}
		return err
	}
}

// Write sends one datagram to where one came from: rare, and safe after Close.
func (s *Socket) Write(b []byte, p Path) error {
	s.raw.mu.RLock()
	defer s.raw.mu.RUnlock()
	if s.raw.closed {
		return net.ErrClosed
	}
	d := s.Destination(p)
	return s.sendmsg(&d, b, d.source)
}

// Close ends every later Write. Read and Send must not be running. Idempotent.
func (s *Socket) Close() error {
	s.raw.mu.Lock()
	defer s.raw.mu.Unlock()
	if s.raw.closed {
		return nil
	}
	s.raw.closed = true
	if err := errors.Join(s.raw.waiter.close(), unix.Close(s.raw.fd)); err != nil {
		return fmt.Errorf("udp: %w", err)
	}
	return nil
}
