package transport

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What comes is read by a thread that blocks in recvmmsg, on a descriptor that the
// runtime's poller does not know. The poller would wake another thread for each
// packet (its events are edges), that would find a goroutine, and that would read
// the packet and then nothing: with ten publishers a stream cost 9.5 ms/s that way
// and costs 6.8 with this (bench, whip-ingest). After the first packets of a
// burst the thread sleeps for a moment, so that the rest comes in one call.
//
// The unsafe parts are the system call itself and the kernel's view of addresses;
// all that they point to lies in one inbox, which lives as long as the socket.
const (
	batch  = 32
	gather = time.Millisecond
)

// inbox is what recvmmsg fills. For one goroutine.
type inbox struct {
	headers  [batch]mmsghdr
	iovecs   [batch]unix.Iovec
	names    [batch]unix.RawSockaddrAny
	controls [batch][64]byte
	buffers  [batch][maxDatagram]byte
	have, at int // packets, and how many of them were given out
	stopped  atomic.Bool
}

// mmsghdr is the kernel's struct mmsghdr.
type mmsghdr struct {
	unix.Msghdr
	length uint32
}

// take moves the socket to a descriptor of our own, whose reads block.
func (s *socket) take(fd int) error {
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("webrtc socket: %w", err)
	}
	s.raw.fd, s.raw.in = own, new(inbox)
	return nil
}

// read receives one datagram, whose bytes are valid until the next, and says on
// which path it came. After stop it is net.ErrClosed.
func (s *socket) read() ([]byte, path, error) {
	in := s.raw.in
	for in.at == in.have {
		if in.stopped.Load() {
			return nil, path{}, net.ErrClosed
		}
		if in.have > 0 && in.have < batch {
			_ = unix.Nanosleep(&unix.Timespec{Nsec: int64(gather)}, nil)
		}
		if err := in.fill(s.raw.fd); err != nil {
			return nil, path{}, err
		}
	}
	i := in.at
	in.at++
	p := path{remote: remoteAddress(&in.names[i])}
	if s.wild {
		p.local = localAddress(in.controls[i][:in.headers[i].Controllen])
	}
	return in.buffers[i][:in.headers[i].length], p, nil
}

// fill waits for packets.
func (in *inbox) fill(fd int) error {
	for i := range in.headers {
		in.iovecs[i].Base = &in.buffers[i][0]
		in.iovecs[i].SetLen(maxDatagram)
		h := &in.headers[i]
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&in.names[i])), unix.SizeofSockaddrAny
		h.Iov, h.Control = &in.iovecs[i], &in.controls[i][0]
		h.SetIovlen(1)
		h.SetControllen(len(in.controls[i]))
	}
	n, _, err := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&in.headers[0])), batch, unix.MSG_WAITFORONE, 0, 0)
	in.at, in.have = 0, 0
	switch {
	case err == unix.EINTR:
		return nil
	case err != 0:
		return err
	case in.stopped.Load():
		return net.ErrClosed
	}
	in.have = int(n)
	return nil
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

// write sends one datagram that is not media: rare, and safe after close.
func (s *socket) write(b []byte, p path) error {
	if p.stream != nil {
		return p.stream.send(b, train{count: 1, size: len(b), bytes: len(b)})
	}
	s.raw.mu.RLock()
	defer s.raw.mu.RUnlock()
	if s.raw.closed {
		return net.ErrClosed
	}
	d := s.destination(p)
	return s.sendmsg(&d, b, d.source)
}

// stop ends read; what is written is sent still.
func (s *socket) stop() error {
	s.raw.in.stopped.Store(true)
	if err := unix.Shutdown(s.raw.fd, unix.SHUT_RD); err != nil && err != unix.ENOTCONN { // it wakes the thread all the same
		return fmt.Errorf("webrtc socket: %w", err)
	}
	return nil
}

// close ends every later write. read and send must not be running.
func (s *socket) close() error {
	s.raw.mu.Lock()
	defer s.raw.mu.Unlock()
	if s.raw.closed {
		return nil
	}
	s.raw.closed = true
	return unix.Close(s.raw.fd)
}
