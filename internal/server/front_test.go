package server

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// oneConn is a listener with one connection.
type oneConn struct{ conns chan net.Conn }

func (l oneConn) Accept() (net.Conn, error) {
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (l oneConn) Close() error   { return nil }
func (l oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// A body that never comes holds its connection for a bounded time, whether a
// handler reads it or not; a request without a body may be answered late.
func TestSlowBodies(t *testing.T) {
	for name, c := range map[string]struct {
		request string
		handler http.HandlerFunc
		within  time.Duration // the connection is over
		late    bool          // an answer after bodyTime is wanted
	}{
		"not read": {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", func(http.ResponseWriter, *http.Request) {}, bodyTime, false},
		"read": {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
			func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body) }, bodyTime, false},
		"none": {"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(2 * bodyTime):
				_, _ = io.WriteString(w, "late")
			case <-r.Context().Done():
			}
		}, 2 * bodyTime, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				l := oneConn{make(chan net.Conn, 1)}
				l.conns <- there
				f := newFront(c.handler, nil)
				go func() { _ = f.serve(l) }()
				began := time.Now()
				go func() { _, _ = io.WriteString(here, c.request) }()
				answer, err := io.ReadAll(here)
				if err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took != c.within {
					t.Errorf("over after %v, want %v", took, c.within)
				}
				if late := len(answer) > 4 && string(answer[len(answer)-4:]) == "late"; late != c.late {
					t.Errorf("answer %q", answer)
				}
				close(l.conns)
				_ = f.http.Close()
			})
		})
	}
}

// FAULTS 1: a header that comes byte by byte, or is too large, ends its connection
// before any handler hears of it.
func TestHostileHeaders(t *testing.T) {
	for name, c := range map[string]struct {
		send   func(w io.Writer)
		answer string // how it begins
		within time.Duration
	}{
		"byte by byte": {func(w io.Writer) {
			for _, b := range []byte("GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 1000)) {
				if _, err := w.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		}, "", headerTime},
		"a bomb": {func(w io.Writer) {
			_, _ = io.WriteString(w, "GET / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 2*headerBytes)+"\r\n\r\n") // cut off
		}, "HTTP/1.1 431 ", 0},
		"a thousand": {func(w io.Writer) {
			_, _ = io.WriteString(w, "GET / HTTP/1.1\r\nHost: x\r\n"+strings.Repeat("X: yyyyyyyyyyyyyyyyyyyyyyyyyy\r\n", 1000)+"\r\n") // cut off
		}, "HTTP/1.1 431 ", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				l := oneConn{make(chan net.Conn, 1)}
				l.conns <- there
				f := newFront(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a handler was called") }), nil)
				go func() { _ = f.serve(l) }()
				began := time.Now()
				var sending sync.WaitGroup
				sending.Go(func() { c.send(here) })
				first := make([]byte, len(c.answer))
				if _, err := io.ReadFull(here, first); err != nil || string(first) != c.answer {
					t.Errorf("answer %q, %v", first, err)
				}
				_, _ = io.Copy(io.Discard, here) // until it is closed
				if took := time.Since(began); took < c.within || took > c.within+time.Second {
					t.Errorf("over after %v, want %v", took, c.within)
				}
				_ = here.Close()
				sending.Wait()
				close(l.conns)
				_ = f.http.Close()
			})
		})
	}
}
