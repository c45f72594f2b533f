package server

import (
	"io"
	"net"
	"net/http"
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
				f := newFront(c.handler)
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
