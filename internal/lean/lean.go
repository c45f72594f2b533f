// Package lean answers the many small requests of HTTP players at a third of what
// net/http costs: a Listener stands before the http.Server of a plain TCP port and
// keeps the connections whose requests are all of one plain kind, GETs that a
// Handler takes. It reads a request's head into one buffer of the connection,
// calls the Handler on the connection's own goroutine, and sends head and body
// with one writev, the body straight from the memory that the Handler wrote. A
// request and its header are used again for the next, so that one costs few
// allocations and no second goroutine.
//
// What is not plain goes to net/http with all bytes that were read, and stays
// there: another method or version, a body, a head that does not come in one
// piece or is longer than the buffer, pipelined requests, any header that is not
// on a short list (so whatever might frame a message otherwise is read by one
// parser alone), percent signs, and all that the Handler does not take.
//
// One thing is less than net/http's: that a peer has gone is not noticed before
// its answer is written. Handlers wait for a bounded time.
//
// Ownership: Listener.accept is one goroutine and each connection another, until
// it is handed on; Shutdown waits for all. Lock: Listener.mu guards the set of
// connections; nothing is called under it but Close of a connection.
package lean

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Handler answers plain requests. Both methods are called by many goroutines, each
// with a request that is used again after ServeHTTP: nothing of it may be kept.
type Handler interface {
	// Takes reports whether a request is one for ServeHTTP. Of headers it has
	// Accept-Encoding alone.
	Takes(r *http.Request) bool
	// ServeHTTP answers. What it writes must never change: it is not copied, and
	// no header may hold a line break. A panic with http.ErrAbortHandler ends the
	// connection; it must not panic with anything else, nor wait without end.
	ServeHTTP(w http.ResponseWriter, r *http.Request)
}

// Config of a Listener. Handler and Server must be set.
type Config struct {
	Handler Handler
	// Server is who serves what is handed on: its times, and its ConnContext for
	// the contexts of requests, count here too.
	Server *http.Server
	// Pass reports connections that are none of ours from the start; nil: none.
	Pass func(net.Conn) bool
}

// Listener is what the http.Server accepts from: the connections that are not
// plain. Make it with New.
type Listener struct {
	net.Listener
	cfg     Config
	handed  chan net.Conn
	failed  chan error    // of the listener below, once
	closing chan struct{} // closed by Close
	ctx     context.Context
	cut     context.CancelFunc
	once    sync.Once
	wg      sync.WaitGroup // the connections and accept
	plain   atomic.Uint64  // requests that were answered
	over    atomic.Bool    // Shutdown was called

	mu    sync.Mutex
	conns map[*conn]struct{} // nil when no more are wanted
}

// New takes over l and begins to accept. Close and Shutdown must follow.
func New(l net.Listener, cfg Config) *Listener {
	f := &Listener{
		Listener: l, cfg: cfg, handed: make(chan net.Conn), failed: make(chan error, 1), closing: make(chan struct{}), conns: map[*conn]struct{}{},
	}
	f.ctx, f.cut = context.WithCancel(context.Background())
	f.wg.Go(f.accept)
	return f
}

// Accept waits for the next connection that is not plain.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.handed:
		return c, nil
	case <-l.closing:
		return nil, net.ErrClosed
	case err := <-l.failed:
		return nil, err
	}
}

// Answered is how many requests were answered here.
func (l *Listener) Answered() uint64 { return l.plain.Load() }

// Close ends accepting; connections go on. Idempotent.
func (l *Listener) Close() error {
	err := net.ErrClosed
	l.once.Do(func() {
		close(l.closing)
		err = l.Listener.Close()
	})
	return err
}

// Shutdown closes the connections that wait for a request, lets the others finish
// theirs until ctx ends, and then cuts them. Somebody must call Close, as the
// shutdown of the http.Server does: it would report an error if it were closed here.
func (l *Listener) Shutdown(ctx context.Context) {
	l.over.Store(true)
	l.mu.Lock()
	conns := l.conns
	l.conns = nil
	for c := range conns {
		if c.state.CompareAndSwap(idle, closed) {
			_ = c.raw.Close()
		}
	}
	l.mu.Unlock()
	stop := context.AfterFunc(ctx, func() {
		l.cut()
		l.mu.Lock()
		defer l.mu.Unlock()
		for c := range conns {
			_ = c.raw.Close()
		}
	})
	l.wg.Wait()
	stop()
	l.cut()
}

// accept takes connections until the listener is closed.
func (l *Listener) accept() {
	for {
		raw, err := l.Listener.Accept()
		var passing interface{ Temporary() bool }
		switch {
		case err == nil:
			l.begin(raw)
		case errors.As(err, &passing) && passing.Temporary(): // as net/http does
			time.Sleep(5 * time.Millisecond)
		default:
			l.failed <- err
			return
		}
	}
}

// begin gives a connection its goroutine.
func (l *Listener) begin(raw net.Conn) {
	if l.cfg.Pass != nil && l.cfg.Pass(raw) {
		l.wg.Go(func() { l.hand(raw) })
		return
	}
	c := newConn(l, raw)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns == nil {
		_ = raw.Close()
		return
	}
	l.conns[c] = struct{}{}
	l.wg.Go(func() {
		onward := c.run()
		l.mu.Lock()
		delete(l.conns, c)
		l.mu.Unlock()
		if onward == nil {
			_ = raw.Close()
			return
		}
		l.hand(onward)
	})
}

// hand gives a connection to net/http, or closes it when that has ended.
func (l *Listener) hand(c net.Conn) {
	select {
	case l.handed <- c:
	case <-l.closing:
		_ = c.Close()
	}
}
