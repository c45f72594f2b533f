// Package memnet is a network in memory for tests: one listener and who dials it.
// Its connections block as channels do, so that whole scenarios of clients and
// servers run on the fake time of testing/synctest, where sockets cannot.
package memnet

import (
	"context"
	"errors"
	"net"
	"sync"
)

// Listener is a net.Listener that Dial reaches. Make it with New, in the bubble that
// uses it. It is safe for concurrent use.
type Listener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// New returns a listener that up to backlog connections wait for; with 0 a dialler
// waits until it is accepted.
func New(backlog int) *Listener {
	return &Listener{conns: make(chan net.Conn, backlog), done: make(chan struct{})}
}

// Dial connects to the listener, whatever the address: it fits where
// net.Dialer.DialContext does. Errors: a refusal once the listener is closed, or the
// context's.
func (l *Listener) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.done:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept returns the next connection, or net.ErrClosed once the listener is closed.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and Dial; connections stay. It is idempotent.
func (l *Listener) Close() error { l.once.Do(func() { close(l.done) }); return nil }

// Addr is an address of nowhere.
func (l *Listener) Addr() net.Addr { return &net.TCPAddr{} }
