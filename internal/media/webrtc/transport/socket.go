package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

const (
	socketBuffer = 8 << 20
	// maxDatagram is the largest datagram that is read: a browser sends none
	// above the path's usual 1,500 bytes.
	maxDatagram = 1600
	// The bounds of one send with segmentation offload (MEDIA W4): kernels take
	// 64 segments, and the whole must fit a UDP datagram.
	maxSegments = 64
	maxTrain    = 65_507
)

// errNoRoom says that the socket's buffer was full: what was to be sent is lost,
// as on any network.
var errNoRoom = errors.New("the socket's buffer is full")

// path is where a peer is: its address, and ours on which it reached us (not
// valid when the socket is bound to one address or the system does not tell), or
// the TCP connection that it has opened.
type path struct {
	remote netip.AddrPort
	local  netip.Addr
	stream *stream // nil for UDP
}

// train is a run of equal datagrams in one buffer; only the last may be
// shorter. One send, or one per datagram where there is no offload.
type train struct {
	first, count int // datagrams [first, first+count)
	size         int // of each but the last
	bytes        int
}

// trains groups datagrams of the given sizes, in order, into the fewest sends,
// and appends them to dst (UDP_SEGMENT: equal sizes, only the last shorter).
func trains(dst []train, sizes []int) []train {
	open := false
	for i, n := range sizes {
		if open {
			t := &dst[len(dst)-1]
			if n <= t.size && t.count < maxSegments && t.bytes+n <= maxTrain {
				t.count++
				t.bytes += n
				open = n == t.size
				continue
			}
		}
		dst = append(dst, train{first: i, count: 1, size: n, bytes: n})
		open = true
	}
	return dst
}

// socket is the one UDP socket. read is for one goroutine, write and send for
// any number.
type socket struct {
	conn  *net.UDPConn // closed on Linux, where the descriptor is our own
	local netip.AddrPort
	// wild says that it is bound to no address: answers then name the local
	// address on which the peer reached us, or ICE fails on hosts with several.
	wild bool
	raw  rawSocket
}

// listen opens the socket. Dual-stack when the address is a wildcard and the
// host has IPv6.
func listen(addr string) (*socket, error) {
	local, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return nil, fmt.Errorf("webrtc address: %w", err)
	}
	conn, err := net.ListenUDP("udp", local)
	if err != nil {
		return nil, fmt.Errorf("listen for webrtc: %w", err)
	}
	s := &socket{conn: conn, wild: local.IP == nil || local.IP.IsUnspecified()}
	bound := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	s.local = netip.AddrPortFrom(bound.Addr().Unmap(), bound.Port())
	if err := s.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("set up webrtc socket: %w", err), conn.Close())
	}
	return s, nil
}

// addr is the local address.
func (s *socket) addr() netip.AddrPort { return s.local }
