package server

import (
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// table is a process's descriptors, of which few are left, and a listener's
// queue.
type table struct {
	mu     sync.Mutex
	free   int
	queue  []net.Conn
	closed bool
}

func (t *table) take() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.free == 0 {
		return syscall.EMFILE
	}
	t.free--
	return nil
}

func (t *table) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.free++
}

func (t *table) open() (io.Closer, error) {
	return &descriptor{of: t}, t.take()
}

func (t *table) waiting() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.queue) > 0
}

// Accept fails like the system's: without a descriptor, whether anybody waits or
// not.
func (t *table) Accept() (net.Conn, error) {
	if err := t.take(); err != nil {
		return nil, &net.OpError{Op: "accept", Err: err}
	}
	for {
		t.mu.Lock()
		if t.closed {
			t.mu.Unlock()
			return nil, net.ErrClosed
		}
		if len(t.queue) > 0 {
			c := t.queue[0]
			t.queue = t.queue[1:]
			t.mu.Unlock()
			return &descriptor{Conn: c, of: t}, nil
		}
		t.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
}

func (t *table) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	return nil
}

func (t *table) Addr() net.Addr { return &net.TCPAddr{} }

func (t *table) dial() net.Conn {
	here, there := net.Pipe()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue = append(t.queue, there)
	return here
}

// descriptor gives its place back when it is closed.
type descriptor struct {
	net.Conn
	of   *table
	once sync.Once
}

func (d *descriptor) Close() error {
	d.once.Do(d.of.give)
	if d.Conn == nil {
		return nil
	}
	return d.Conn.Close()
}

// Without a descriptor probes are answered one after another, behind strangers
// who say nothing; each answer ends its connection. A descriptor that is taken
// away is taken back, and when there are some again all is as before.
//
// F23
func TestSpareDescriptor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := &table{free: 1}
		l := &spareListener{Listener: left, pending: left.waiting, open: left.open, heard: func(net.Conn) bool { return false }}
		l.takeBack(false)
		f := newFront(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }), nil)
		var serving sync.WaitGroup
		serving.Go(func() { _ = f.serve(l) })
		free := func() int {
			left.mu.Lock()
			defer left.mu.Unlock()
			return left.free
		}
		ask := func(within time.Duration, kept bool) {
			t.Helper()
			c, began := left.dial(), time.Now()
			defer c.Close()
			go func() { _, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") }()
			_ = c.SetReadDeadline(began.Add(10 * time.Second))
			var answer []byte
			buf := make([]byte, 512)
			for {
				n, err := c.Read(buf)
				answer = append(answer, buf[:n]...)
				if err != nil || kept && n > 0 {
					break
				}
			}
			if took := time.Since(began); len(answer) < 12 || string(answer[:12]) != "HTTP/1.1 200" || took > within {
				t.Errorf("%q after %v, want 200 within %v", answer, took, within)
			}
		}
		ask(2*spareRetry, false)
		ask(2*spareRetry, false)
		for range 3 {
			defer left.dial().Close() // says nothing
		}
		ask(3*(spareSpeak+spareRetry)+2*spareRetry, false)
		time.Sleep(time.Second)
		if n := free(); n != 0 {
			t.Errorf("the spare is not taken back: %d are free", n)
		}

		slow := left.dial() // never ends its header
		_, _ = io.WriteString(slow, "GET / HT")
		began := time.Now()
		_, _ = io.Copy(io.Discard, slow)
		if took := time.Since(began); took > spareTime+2*spareRetry {
			t.Errorf("a slow header kept the spare for %v", took)
		}
		for range 5 { // somebody else's descriptors are free again
			left.give()
		}
		time.Sleep(spareRetry)
		ask(spareRetry, true)
		_ = l.Close()
		_ = f.http.Close()
		serving.Wait()
	})
}

// Who has spoken on the spare descriptor is not cut off because the server, which has no
// processor, has not come to read it; who has not goes on time.
//
// F23
func TestSpareIsHeard(t *testing.T) {
	for _, spoke := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			left := &table{free: 1}
			l := &spareListener{Listener: left, pending: left.waiting, open: left.open, heard: func(net.Conn) bool { return spoke }}
			l.takeBack(false)
			peer := left.dial()
			defer peer.Close()
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			_, _ = peer.Read(make([]byte, 1)) // until it is closed
			want := spareSpeak
			if spoke {
				want += spareTime
			}
			if took := time.Since(began); took != want {
				t.Errorf("spoke: %v; closed after %v, want %v", spoke, took, want)
			}
			_ = c.Close()
		})
	}
}
