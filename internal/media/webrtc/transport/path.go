package transport

import (
	"net/netip"

	"glimpse/internal/media/udp"
)

// socketBuffer is what the kernel is asked to keep, each way.
const socketBuffer = 8 << 20

// path is where a peer is: its address, and ours on which it reached us (not
// valid when the socket is bound to one address or the system does not tell), or
// the TCP connection that it has opened.
type path struct {
	remote netip.AddrPort
	local  netip.Addr
	stream *stream // nil for UDP
}

func (p path) udp() udp.Path { return udp.Path{Remote: p.remote, Local: p.local} }

// socket is the one UDP socket.
type socket struct{ *udp.Socket }

// write sends one packet that is not media, by the path's own means: rare, and safe
// after Close.
func (s socket) write(b []byte, p path) error {
	if p.stream != nil {
		return p.stream.send(b, train{count: 1, size: len(b), bytes: len(b)})
	}
	return s.Write(b, p.udp())
}

// train is a run of equal datagrams in one buffer; only the last may be
// shorter. One send, or one per datagram where there is no offload (MEDIA W4).
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
			if n <= t.size && t.count < udp.MaxSegments && t.bytes+n <= udp.MaxTrain {
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
