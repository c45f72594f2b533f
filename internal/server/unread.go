package server

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A peer of HTTP who confirms nothing of what was sent for 9 to 9.75 s is given up
// (FAULTS F10: 10 s at most).
const (
	unreadLook = 750 * time.Millisecond  // between two looks
	unreadMost = 12                      // looks without progress
	unreadTime = unreadMost * unreadLook // or three in this time: looks are late on a busy machine,
	unreadFew  = 3                       // and the first after a machine that slept, the peer too, is no proof
)

// unread finds peers of HTTP who read nothing. Deadlines cannot: a write has left
// hundreds of kilobytes with the system before it waits, and they do not know of
// progress inside of it. Nor can TCP_USER_TIMEOUT: Linux counts a peer whose window is
// smaller than the next piece as one who reads nothing, though it reads slowly.
//
// One goroutine, run's, looks at the connections; add and forget may be called from
// anywhere. A nil unread watches nobody.
type unread struct {
	mu     sync.Mutex
	conns  map[*net.TCPConn]*unreadConn
	closed atomic.Uint64 // who was given up, since the start
}

// unreadConn is a connection as it was at the last look.
type unreadConn struct {
	raw   syscall.RawConn
	acked uint64    // bytes that the peer has confirmed
	looks int       // since that moved, or since there was nothing to confirm:
	since time.Time // then
}

func newUnread() *unread { return &unread{conns: map[*net.TCPConn]*unreadConn{}} }

// listener watches the connections of l.
func (u *unread) listener(l net.Listener) net.Listener {
	if u == nil {
		return l
	}
	return &unreadListener{l, u}
}

type unreadListener struct {
	net.Listener
	unread *unread
}

// Accept waits for the next connection.
func (l *unreadListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok && err == nil {
		l.unread.add(tcp)
	}
	return c, err
}

// add watches a connection until it is closed.
func (u *unread) add(c *net.TCPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return // it is closed
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.conns[c] = &unreadConn{raw: raw, since: time.Now()}
}

// forget watches a connection no longer: websockets have pings and queues of their
// own, and whoever wears glasses may walk through a tunnel.
func (u *unread) forget(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok && u != nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.conns, tcp)
	}
}

// run looks until over is closed.
func (u *unread) run(over <-chan struct{}) {
	tick := time.NewTicker(unreadLook)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
			u.look()
		}
	}
}

// look looks once at each connection and ends those of peers who read nothing.
func (u *unread) look() {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	for c, at := range u.conns {
		waiting, acked, err := unconfirmed(at.raw)
		if err != nil { // it is closed
			delete(u.conns, c)
			continue
		}
		if at.stands(waiting, acked, now) {
			delete(u.conns, c)
			u.closed.Add(1)
			_ = c.SetLinger(0) // what waits is given up too
			_ = c.Close()
		}
	}
}

// stands reports, after a look, whether the peer has read nothing for so long that it is
// given up.
func (at *unreadConn) stands(waiting bool, acked uint64, now time.Time) bool {
	if !waiting || acked != at.acked {
		at.looks, at.acked, at.since = 0, acked, now
		return false
	}
	at.looks++
	return at.looks >= unreadMost || at.looks >= unreadFew && now.Sub(at.since) >= unreadTime
}
