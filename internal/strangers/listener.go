package strangers

import (
	"errors"
	"net"
	"net/netip"
	"time"
)

// errCrowded ends the reads of a stranger who had to go.
var errCrowded = errors.New("too many strangers: say who you are sooner, or less")

// Listener puts who connects to l through the door.
func (d *Door) Listener(l net.Listener) net.Listener {
	if d == nil {
		return l
	}
	return &listener{l, d}
}

type listener struct {
	net.Listener
	door *Door
}

// Accept waits for the next connection.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	in := &conn{Conn: c}
	for wait := time.Duration(0); in.place == nil; time.Sleep(wait) {
		in.place, wait = l.door.try(in.peer(), in.leave, true)
	}
	return in, nil
}

// conn counts what comes until its peer is known.
type conn struct {
	net.Conn
	place *Place
	past  bool
}

// peer is the address of who connected.
func (c *conn) peer() netip.Addr {
	ap, _ := netip.ParseAddrPort(c.RemoteAddr().String()) // the zero Addr when it has none
	return ap.Addr()
}

// leave is what a place does when it is needed.
func (c *conn) leave() { _ = c.Conn.Close() }

// Read reads, and returns when it is the peer's turn.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.glance(b)
	if n > 0 {
		c.place.Turn()
	}
	return n, err
}

// glance reads.
func (c *conn) glance(b []byte) (int, error) {
	c.place.Wait()
	n, err := c.Conn.Read(b)
	if n > 0 && !c.place.Hold(n) {
		_ = c.Conn.Close()
		return 0, errCrowded
	}
	return n, err
}

// Glance reads from a connection for one who only looks whether there is a request
// that costs next to nothing, and so waits for no turn. Whoever works on takes it (see
// Place.Turn).
func Glance(c net.Conn, b []byte) (int, error) {
	if mine, ok := c.(*conn); ok {
		return mine.glance(b)
	}
	return c.Read(b)
}

// Close closes the connection.
func (c *conn) Close() error {
	c.place.Leave()
	return c.Conn.Close()
}

// NetConn is the connection as the system knows it.
func (c *conn) NetConn() net.Conn { return c.Conn }

// CloseWrite ends our side of the connection.
func (c *conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// Bare is a connection as the system knows it, below TLS and all that counts it.
func Bare(c net.Conn) net.Conn {
	for over, ok := c.(interface{ NetConn() net.Conn }); ok; over, ok = c.(interface{ NetConn() net.Conn }) {
		c = over.NetConn()
	}
	return c
}

// PlaceOf is that of a connection or of the one below its TLS; nil when it came
// through no door.
func PlaceOf(c net.Conn) *Place {
	if mine := counted(c); mine != nil {
		return mine.place
	}
	return nil
}

// IsPast reports whether a connection came in past a crowd and so has no place: it may
// have what it asked for when it came, and must end then.
func IsPast(c net.Conn) bool {
	mine := counted(c)
	return mine != nil && mine.past
}

// counted is the connection that a door let in, or is nil.
func counted(c net.Conn) *conn {
	for c != nil {
		if mine, ok := c.(*conn); ok {
			return mine
		}
		over, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		c = over.NetConn()
	}
	return nil
}
