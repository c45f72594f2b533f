package glasses

import (
	"context"
	"net"
	"sync"

	"github.com/pion/transport/v4"
	"github.com/pion/transport/v4/stdnet"
)

// Sockets makes the sockets of WebRTC's media. While the network is down they
// lose what is sent and hear nothing.
func (n *Network) Sockets() (transport.Net, error) {
	system, err := stdnet.NewNet()
	if err != nil {
		return nil, err
	}
	return &sockets{Net: system, network: n}, nil
}

type sockets struct {
	transport.Net
	network *Network
}

// ListenUDP is what ICE makes its sockets with.
func (s *sockets) ListenUDP(netw string, at *net.UDPAddr) (transport.UDPConn, error) {
	c, err := s.Net.ListenUDP(netw, at)
	if err != nil {
		return nil, err
	}
	return &datagrams{UDPConn: c, network: s.network}, nil
}

// datagrams is a socket that the network can be taken from.
type datagrams struct {
	transport.UDPConn
	network *Network
}

// ReadFrom passes over what arrives while the network is down.
func (d *datagrams) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := d.UDPConn.ReadFrom(b)
		if err != nil || !d.network.down() {
			return n, from, err
		}
	}
}

// WriteTo loses what is sent while the network is down.
func (d *datagrams) WriteTo(b []byte, to net.Addr) (int, error) {
	if d.network.down() {
		return len(b), nil
	}
	return d.UDPConn.WriteTo(b, to)
}

// maxDatagram is the largest that a relay passes on.
const maxDatagram = 64 << 10

// Relay opens an address on this machine behind which a UDP peer is found as long
// as the network is there: for protocols whose library makes its own sockets. It
// ends with close, which waits.
func (n *Network) Relay(ctx context.Context, peer string) (address string, closeRelay func(), err error) {
	var d net.Dialer
	far, err := d.DialContext(ctx, "udp", peer)
	if err != nil {
		return "", nil, err
	}
	near, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		_ = far.Close()
		return "", nil, err
	}
	r := &relay{network: n, near: near, far: far}
	r.both.Go(r.out)
	r.both.Go(r.back)
	return near.LocalAddr().String(), r.close, nil
}

// relay passes datagrams between a client on this machine and a peer.
type relay struct {
	network *Network
	near    *net.UDPConn
	far     net.Conn
	both    sync.WaitGroup

	mu     sync.Mutex
	client net.Addr // who sent last; nil before that
}

func (r *relay) close() {
	_ = r.near.Close()
	_ = r.far.Close()
	r.both.Wait()
}

func (r *relay) out() {
	b := make([]byte, maxDatagram)
	for {
		n, from, err := r.near.ReadFrom(b)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.client = from
		r.mu.Unlock()
		if !r.network.down() {
			_, _ = r.far.Write(b[:n]) // lost, as datagrams are
		}
	}
}

func (r *relay) back() {
	b := make([]byte, maxDatagram)
	for {
		n, err := r.far.Read(b)
		if err != nil {
			if isClosed(err) {
				return
			}
			continue // nobody listens there yet
		}
		r.mu.Lock()
		client := r.client
		r.mu.Unlock()
		if client != nil && !r.network.down() {
			_, _ = r.near.WriteTo(b[:n], client)
		}
	}
}
