package lean

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"glimpse/internal/strangers"
)

// headSize bounds the head of a plain request; browsers need about 700 bytes.
const headSize = 2 << 10

// The states of a connection.
const (
	idle int32 = iota // it waits for a request; Shutdown may close it
	busy
	closed
)

// Times that need not be exact are set again only when so much of them has passed,
// since each setting costs the runtime a timer.
const (
	writeTime = 30 * time.Second // that an answer has, at least
	idleSlack = 10 * time.Second
)

// conn is a connection. All but state belongs to its goroutine.
type conn struct {
	l     *Listener
	raw   net.Conn // as it was accepted
	wire  net.Conn // the system's, for writev
	state atomic.Int32
	past  bool // a crowd: it has one request

	buf             []byte // headSize; made by the first request
	request         *http.Request
	answer          answer
	readBy, writeBy time.Time // the deadlines that are set
}

func newConn(l *Listener, raw net.Conn) *conn {
	return &conn{l: l, raw: raw, wire: strangers.Bare(raw), past: strangers.IsPast(raw)}
}

// run answers requests until one is not plain, and returns the connection as
// net/http shall have it; nil when it is over.
func (c *conn) run() net.Conn {
	c.buf = make([]byte, headSize)
	c.readBy = time.Now().Add(c.l.cfg.Server.ReadHeaderTimeout)
	_ = c.raw.SetReadDeadline(c.readBy) // a connection that is closed needs none
	place := strangers.PlaceOf(c.raw)
	for {
		n, err := strangers.Glance(c.raw, c.buf)
		if err != nil || !c.state.CompareAndSwap(idle, busy) {
			return nil
		}
		h, ok := parse(c.buf[:n])
		if ok {
			c.fill(h)
			ok = c.l.cfg.Handler.Takes(c.request)
		}
		if !ok && c.past {
			return nil // what it came in for has gone meanwhile
		}
		if !ok {
			_ = c.raw.SetDeadline(time.Time{})
			place.Turn()
			return &prefixed{Conn: c.raw, before: c.buf[:n]}
		}
		if !c.serve(h.last || c.past) || !c.state.CompareAndSwap(busy, idle) || c.l.over.Load() {
			return nil
		}
		place.Rest()
		if by := time.Now().Add(c.l.cfg.Server.IdleTimeout); by.Sub(c.readBy) > idleSlack {
			c.readBy = by
			_ = c.raw.SetReadDeadline(by)
		}
	}
}

// fill makes the request of a head.
func (c *conn) fill(h head) {
	if c.request == nil {
		ctx := c.l.ctx
		if of := c.l.cfg.Server.ConnContext; of != nil {
			ctx = of(ctx, c.raw)
		}
		c.request = (&http.Request{
			Method: http.MethodGet, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, URL: &url.URL{}, Header: http.Header{},
			Body: http.NoBody, RemoteAddr: c.raw.RemoteAddr().String(),
		}).WithContext(context.WithValue(ctx, http.LocalAddrContextKey, c.raw.LocalAddr()))
		c.answer.header = http.Header{}
	}
	h.fill(c.request)
}

// fill puts what a head says into a request that had another.
func (h *head) fill(r *http.Request) {
	if r.Host != string(h.host) {
		r.Host = string(h.host)
	}
	r.URL.Path, r.URL.RawQuery = string(h.path), string(h.query)
	switch had := r.Header["Accept-Encoding"]; {
	case h.encoding == nil:
		clear(r.Header)
	case len(had) != 1 || had[0] != string(h.encoding):
		r.Header["Accept-Encoding"] = []string{string(h.encoding)}
	}
}

// serve answers one request, perhaps the last; false ends the connection.
func (c *conn) serve(last bool) (ok bool) {
	defer func() {
		if cause := recover(); cause != nil && cause != http.ErrAbortHandler { //nolint:errorlint // a panic's value as it was raised
			panic(cause)
		}
	}()
	c.answer.reset()
	c.l.cfg.Handler.ServeHTTP(&c.answer, c.request)
	c.l.plain.Add(1)
	now := time.Now()
	if c.writeBy.Sub(now) < writeTime {
		c.writeBy = now.Add(2 * writeTime)
		_ = c.wire.SetWriteDeadline(c.writeBy) // writing tells
	}
	return c.answer.send(c.wire, now, last || c.l.over.Load())
}

// prefixed is a connection of which something was read already.
type prefixed struct {
	net.Conn
	before []byte
}

// Read reads what was read before first.
func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.before) == 0 {
		return p.Conn.Read(b)
	}
	n := copy(b, p.before)
	if p.before = p.before[n:]; len(p.before) == 0 {
		p.before = nil
	}
	return n, nil
}

// NetConn is the connection below.
func (p *prefixed) NetConn() net.Conn { return p.Conn }

// CloseWrite ends our side of the connection.
func (p *prefixed) CloseWrite() error {
	if w, ok := p.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}
