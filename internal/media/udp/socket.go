package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

const (
	// MaxDatagram is the largest datagram that is read whole: peers send none above
	// their path's usual 1,500 bytes.
	MaxDatagram = 1600
	// MaxSegments of one Send: kernels take no more.
	MaxSegments = 64
	// MaxTrain is how many bytes one Send may have: as many as a UDP datagram.
	MaxTrain = 65_507
)

// ErrNoRoom says that the socket's buffer was full: what was to be sent is lost, as
// on any network.
var ErrNoRoom = errors.New("the socket's buffer is full")

// Path is where a peer is: its address, and ours on which it reached us (not valid
// when the socket is bound to one address or the system does not tell). It may be
// compared.
type Path struct {
	Remote netip.AddrPort
	Local  netip.Addr
}

// Datagram is one that came. Its bytes are valid until the function that takes it
// returns.
type Datagram struct {
	Data []byte
	From Path
	At   time.Time // when it came, as the kernel says where that is known
}

// Socket is a UDP socket. Make it with Listen. Read is for one goroutine; everything
// else may be called from anywhere, but see Close.
type Socket struct {
	conn  *net.UDPConn // closed on Linux, where the descriptor is our own
	local netip.AddrPort
	// wild says that it is bound to no address: answers then name the local
	// address on which the peer reached us, or they come from another one on
	// hosts with several.
	wild bool
	raw  rawSocket
}

// Listen opens a socket on an address ("udp", "udp4" or "udp6" says of which family)
// with buffers of so many bytes, or what the system allows. With "udp" and a wildcard
// it is dual-stack when the host has IPv6.
func Listen(network, addr string, buffer int) (*Socket, error) {
	local, err := net.ResolveUDPAddr(network, addr)
	if err != nil {
		return nil, fmt.Errorf("udp address: %w", err)
	}
	conn, err := net.ListenUDP(network, local)
	if err != nil {
		return nil, fmt.Errorf("udp: %w", err)
	}
	s := &Socket{conn: conn, wild: local.IP == nil || local.IP.IsUnspecified()}
	bound := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	s.local = netip.AddrPortFrom(bound.Addr().Unmap(), bound.Port())
	if err := s.open(buffer); err != nil {
		return nil, errors.Join(fmt.Errorf("set up udp socket: %w", err), conn.Close())
	}
	return s, nil
}

// Addr is the local address.
func (s *Socket) Addr() netip.AddrPort { return s.local }

// Wild reports that the socket is bound to no address of the host's.
func (s *Socket) Wild() bool { return s.wild }

// until is the time to the next multiple of a pause: all that sleep so wake at the
// same moments, and one waking of the processor serves all.
func until(pause time.Duration) time.Duration {
	return pause - time.Duration(time.Now().UnixNano())%pause
}
