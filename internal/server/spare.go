package server

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"glimpse/internal/strangers"
)

// What a connection on the spare descriptor has, and how often a listener
// without descriptors looks again.
const (
	spareSpeak = 250 * time.Millisecond // to its first byte: silent ones must not keep a probe waiting
	spareTime  = 2 * time.Second        // to its end
	spareRetry = 20 * time.Millisecond
)

// spareListener accepts also when the process has no file descriptor left, so
// that probes are answered (FAULTS F23): it keeps one in reserve, gives it up for
// one connection at a time, and takes it back when that ends. Meanwhile it asks
// the system again and again instead of failing. Accept is for one goroutine.
type spareListener struct {
	net.Listener
	pending func() bool               // does a connection wait? It takes no descriptor
	open    func() (io.Closer, error) // takes a descriptor
	heard   func(net.Conn) bool       // did the peer say something that nobody has read?

	mu    sync.Mutex
	spare io.Closer // nil while lent, or when somebody else was faster
	lent  bool
}

// exhausted reports whether the process or the system has no descriptors left.
func exhausted(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// Accept waits for the next connection, also without descriptors.
func (l *spareListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if !exhausted(err) {
			l.takeBack(false)
			return c, err
		}
		// The system says so even when nobody waits: accepting would then block
		// with the spare given away.
		if l.pending() {
			if c, err = l.lend(); !exhausted(err) {
				return c, err
			}
		}
		time.Sleep(spareRetry)
	}
}

// lend accepts a connection on the spare descriptor; the error is an exhausted
// one when there is none.
func (l *spareListener) lend() (net.Conn, error) {
	l.takeBack(false)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.spare == nil {
		return nil, syscall.EMFILE
	}
	_ = l.spare.Close()
	l.spare = nil
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.lent = true
	b := &borrowed{Conn: c, from: l}
	b.cut = time.AfterFunc(spareTime, b.late)
	b.cut.Reset(spareSpeak)
	return b, nil
}

// takeBack reserves a descriptor again, if one is free and none is lent.
func (l *spareListener) takeBack(returned bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lent = l.lent && !returned
	if l.spare != nil || l.lent {
		return
	}
	if spare, err := l.open(); err == nil {
		l.spare = spare
	}
}

// Close closes the listener and the spare.
func (l *spareListener) Close() error {
	err := l.Listener.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.spare != nil {
		_ = l.spare.Close()
		l.spare = nil
	}
	l.lent = true // nothing is taken back any more
	return err
}

// borrowed is the connection on the spare descriptor.
type borrowed struct {
	net.Conn
	from  *spareListener
	cut   *time.Timer // closes it; too late does no harm
	spoke sync.Once
	over  sync.Once
}

// Read reads; the first bytes earn the connection its time.
func (b *borrowed) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	if n > 0 {
		b.spoke.Do(func() { b.cut.Reset(spareTime) })
	}
	return n, err
}

// late ends the connection, unless the peer has spoken and we have not come to read it.
func (b *borrowed) late() {
	spoke := false
	if b.from.heard(b.Conn) {
		b.spoke.Do(func() {
			b.cut.Reset(spareTime)
			spoke = true
		})
	}
	if !spoke {
		_ = b.Close()
	}
}

// Close closes the connection and gives its descriptor back, once.
func (b *borrowed) Close() error {
	err := net.ErrClosed
	b.over.Do(func() {
		err = b.Conn.Close()
		b.from.takeBack(true)
	})
	return err
}

// isBorrowed reports whether a connection, or the one under its TLS, is on a
// spare descriptor.
func isBorrowed(c net.Conn) bool {
	_, ok := strangers.Bare(c).(*borrowed)
	return ok
}
