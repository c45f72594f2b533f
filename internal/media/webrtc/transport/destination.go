package transport

import (
	"net/netip"

	"glimpse/internal/media/udp"
)

// Destination is where a peer's media go, made ready for sending. It is a value
// that its Handler keeps; for one goroutine at a time.
type Destination struct {
	socket socket
	stream *stream // nil for UDP
	udp    udp.Destination
}

func (s socket) prepare(p path) Destination {
	if p.stream != nil {
		return Destination{socket: s, stream: p.stream}
	}
	return Destination{socket: s, udp: s.Destination(p.udp())}
}

// To is the destination of an address by UDP, whatever checks there were.
func (m *Mux) To(remote netip.AddrPort) Destination { return m.socket.prepare(path{remote: remote}) }

// Reliable reports that packets go by TCP: none is lost on the way, but the way
// may be full.
func (d *Destination) Reliable() bool { return d.stream != nil }

// Full reports that what was sent before waits too long for a TCP connection, and
// that no more media should follow until it does not.
func (d *Destination) Full() bool { return d.stream != nil && d.stream.full() }

// Send sends one packet that is sealed already.
func (d *Destination) Send(sealed []byte) error {
	return d.send(sealed, train{count: 1, size: len(sealed), bytes: len(sealed)})
}

func (d *Destination) send(b []byte, t train) error {
	if d.stream != nil {
		return d.stream.send(b, t)
	}
	return d.socket.Send(&d.udp, b, t.size)
}
