package glasses

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// errNetworkDown is what connections report while the wearer is out of reach.
var errNetworkDown = errors.New("network is down")

// DialFunc opens a connection, as net.Dialer.DialContext does.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Network is a way out: the phone has one, and the glasses' Wi-Fi is another.
// All connections are made through it, so that it can be lost: our ends fail at
// once, the other ends hear nothing at all until it is back. Its lock is taken
// before a conn's.
type Network struct {
	dial  DialFunc
	stall time.Duration // in which a write must make progress

	mu      sync.Mutex
	back    time.Time     // when the network is back
	changed chan struct{} // closed and replaced when back changes
	conns   map[*conn]struct{}
}

func newNetwork(dial DialFunc, stall time.Duration) *Network {
	return &Network{dial: dial, stall: stall, changed: make(chan struct{}), conns: make(map[*conn]struct{})}
}

// DialContext opens a connection, or fails while the network is down.
func (n *Network) DialContext(ctx context.Context, netw, address string) (net.Conn, error) {
	if n.down() {
		return nil, errNetworkDown
	}
	inner, err := n.dial(ctx, netw, address)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: inner, net: n}
	n.mu.Lock()
	defer n.mu.Unlock()
	if time.Now().Before(n.back) {
		inner.Close()
		return nil, errNetworkDown
	}
	n.conns[c] = struct{}{}
	return c, nil
}

func (n *Network) down() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return time.Now().Before(n.back)
}

// drop takes the network away for d, and brings back at once one that is lost
// when d is 0.
func (n *Network) drop(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if d == 0 && !time.Now().Before(n.back) {
		return
	}
	n.back = time.Now().Add(d)
	close(n.changed)
	n.changed = make(chan struct{})
	for c := range n.conns {
		if d > 0 || c.lost() {
			c.cut(d)
		}
	}
}

// leave takes the network away for d in good order: the other ends hear it.
func (n *Network) leave(d time.Duration) {
	n.mu.Lock()
	conns := n.conns
	n.conns = make(map[*conn]struct{})
	n.mu.Unlock()
	n.drop(d)
	for c := range conns {
		_ = c.Conn.Close()
	}
}

// reach waits until the network is there, or ctx ends.
func (n *Network) reach(ctx context.Context) {
	for ctx.Err() == nil {
		n.mu.Lock()
		away, changed := time.Until(n.back), n.changed
		n.mu.Unlock()
		if away <= 0 {
			return
		}
		back := time.NewTimer(away)
		select {
		case <-ctx.Done():
		case <-back.C:
		case <-changed:
		}
		back.Stop()
	}
}

// close closes all connections, also those that were lost.
func (n *Network) close() {
	n.mu.Lock()
	conns := n.conns
	n.conns = make(map[*conn]struct{})
	n.mu.Unlock()
	for c := range conns {
		c.mu.Lock()
		if c.expire != nil {
			c.expire.Stop()
		}
		c.mu.Unlock()
		c.Conn.Close()
	}
}

// conn is a connection that can be cut.
type conn struct {
	net.Conn
	net *Network

	mu     sync.Mutex
	isCut  bool
	expire *time.Timer // closes a cut connection when the network is back
}

// cut makes our end fail. The peer learns of it only after d, when the
// network is back and answers for a connection that no longer exists.
func (c *conn) cut(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isCut {
		c.expire.Reset(d)
		return
	}
	c.isCut = true
	_ = c.Conn.SetDeadline(time.Unix(1, 0))
	c.expire = time.AfterFunc(d, func() { c.forget(); c.Conn.Close() })
}

func (c *conn) forget() {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	delete(c.net.conns, c)
}

func (c *conn) lost() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.isCut
}

// Read reads, or reports that the network is down.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil && c.lost() {
		err = errNetworkDown
	}
	return n, err
}

// Write writes, and gives up when the peer takes nothing for the stall time.
func (c *conn) Write(b []byte) (int, error) {
	_ = c.setDeadline(c.Conn.SetWriteDeadline, time.Now().Add(c.net.stall))
	n, err := c.Conn.Write(b)
	if err != nil && c.lost() {
		err = errNetworkDown
	}
	return n, err
}

// Close closes the connection; a lost one stays open towards the peer until
// the network is back.
func (c *conn) Close() error {
	if c.lost() {
		return nil
	}
	c.forget()
	return c.Conn.Close()
}

// CloseWrite says that nothing more will be written, where the connection can.
func (c *conn) CloseWrite() error {
	w, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || c.lost() {
		return errors.ErrUnsupported
	}
	return w.CloseWrite()
}

// setDeadline keeps deadlines from waking a connection that was cut.
func (c *conn) setDeadline(set func(time.Time) error, t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isCut {
		return errNetworkDown
	}
	return set(t)
}

// SetDeadline is net.Conn's. Writes set their own deadline.
func (c *conn) SetDeadline(t time.Time) error { return c.setDeadline(c.Conn.SetDeadline, t) }

// SetReadDeadline is net.Conn's.
func (c *conn) SetReadDeadline(t time.Time) error { return c.setDeadline(c.Conn.SetReadDeadline, t) }

// SetWriteDeadline is net.Conn's; the next Write sets its own.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(c.Conn.SetWriteDeadline, t) }
