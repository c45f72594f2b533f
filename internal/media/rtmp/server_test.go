package rtmp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/internal/media/hub"
)

// dialRaw opens a TCP connection and shakes hands.
func (r *rig) dialRaw(handshaken bool) net.Conn {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.server.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	if !handshaken {
		return conn
	}
	if _, err := conn.Write(append([]byte{3}, make([]byte, 1536)...)); err != nil {
		r.t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1+2*1536)); err != nil {
		r.t.Fatal(err)
	}
	if _, err := conn.Write(make([]byte, 1536)); err != nil {
		r.t.Fatal(err)
	}
	return conn
}

// closedWithin reports whether the server closes the connection in time.
func closedWithin(conn net.Conn, d time.Duration) bool {
	_ = conn.SetReadDeadline(time.Now().Add(d))
	_, err := io.Copy(io.Discard, conn)
	var n net.Error
	return !errors.As(err, &n) || !n.Timeout()
}

// Every hostile start ends its own connection, soon, and nothing else.
func TestHostileStarts(t *testing.T) {
	r := newRig(t, Config{})
	r.open("one", 0)
	tests := []struct {
		name      string
		handshake bool
		bytes     string
		want      error
	}{
		{"HTTP", false, "GET / HTTP/1.1\r\n\r\n" + strings.Repeat("x", 4096), errVersion},
		{"RTMPE", false, "\x06" + strings.Repeat("x", 1536), errVersion},
		{"chunk size 0", true, setChunkSize(0), errChunkSize},
		{"chunk size with bit 31", true, setChunkSize(0xffffffff), errChunkSize},
		{"giant message", true, chunk0(3, 0, 0xfffffe, typeCommand, ""), errTooLong},
		{"nested AMF0", true, setChunkSize(60000) + chunk0(3, 0, 50000, typeCommand, strings.Repeat("\x0a\x00\x00\x00\x01", 10000)), errAMFDepth},
		{"thousands of nulls", true, setChunkSize(60000) + chunk0(3, 0, 60000, typeCommand, strings.Repeat("\x05", 60000)), errAMFCount},
		{"not connect", true, chunk0(3, 0, 13, typeCommand, "\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05"), errors.New("malformed command")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conn := r.dialRaw(tt.handshake)
			_, _ = io.WriteString(conn, tt.bytes)
			if !closedWithin(conn, 3*time.Second) {
				t.Error("connection stays open")
			}
			for l := range strings.Lines(r.logs.String()) {
				if strings.Contains(l, conn.LocalAddr().String()) && strings.Contains(l, tt.want.Error()) {
					return
				}
			}
			t.Errorf("the log does not say %q", tt.want)
		})
	}
	c, err := Dial(t.Context(), r.url("one-key"), Options{}) // the server still serves
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	until(t, "the memory of strangers to come back", func() bool { return r.server.strangers.used.Load() == 0 })
}

// Slow strangers have 5 s for the handshake and 10 s to say what they want.
func TestSlowStrangers(t *testing.T) {
	short := defaultTimes()
	short.handshake, short.action = 250*time.Millisecond, 600*time.Millisecond
	r := newRigTimes(t, Config{}, short)
	half := r.dialRaw(false)
	_, _ = io.WriteString(half, "\x03half")
	start := time.Now()
	whole := r.dialRaw(true)
	if !closedWithin(half, 2*time.Second) {
		t.Error("half a handshake is waited for")
	}
	if !closedWithin(whole, 2*time.Second) {
		t.Error("a silent peer is waited for")
	}
	if d := time.Since(start); d < short.action {
		t.Errorf("closed after %v", d)
	}
}

func TestConnectionCaps(t *testing.T) {
	r := newRig(t, Config{MaxPerAddr: 2})
	one, two := r.dialRaw(true), r.dialRaw(true)
	three := r.dialRaw(false)
	if !closedWithin(three, 2*time.Second) {
		t.Error("the third connection is served")
	}
	if n := r.server.Stats().Refused; n != 1 {
		t.Errorf("%d connections counted as refused", n)
	}
	_ = one.Close()
	until(t, "a place", func() bool {
		conn, err := net.Dial("tcp", r.server.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = conn.Write(append([]byte{3}, make([]byte, 1536)...))
		_, err = io.ReadFull(conn, make([]byte, 1))
		return err == nil
	})
	_ = two.Close()
}

// Strangers of one address do not take the places of others, and give theirs
// back when they are served or leave.
func TestGate(t *testing.T) {
	g := gate{maxConns: 2000, maxPerAddr: 600, byRemote: map[netip.Addr]*tally{}}
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for i := range maxPendingPerAddr {
		if !g.enter(a) {
			t.Fatalf("stranger %d has no place", i)
		}
	}
	if g.enter(a) {
		t.Error("one stranger too many of an address")
	}
	if !g.enter(b) {
		t.Error("another address has no place")
	}
	g.served(a)
	if !g.enter(a) {
		t.Error("the place of one who is served stays taken")
	}
	g.leave(a, false)
	for range maxPendingPerAddr {
		g.leave(a, true)
	}
	g.leave(b, true)
	if g.conns != 0 || g.pending != 0 || len(g.byRemote) != 0 {
		t.Errorf("%d connections, %d strangers, %d addresses remain", g.conns, g.pending, len(g.byRemote))
	}
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8::1:2:3:4": "2001:db8::",
	} {
		if got := remote(addrConn{addr: &net.TCPAddr{IP: net.ParseIP(in), Port: 1}}); got.String() != want {
			t.Errorf("%s counts as %v", in, got)
		}
	}
}

type addrConn struct {
	net.Conn
	addr net.Addr
}

func (c addrConn) RemoteAddr() net.Addr { return c.addr }

// A listener that fails goes on: first after 50 ms, then ever longer, at most 1 s.
func TestAcceptErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := &failingListener{left: 8}
		log := slog.New(slog.DiscardHandler)
		s := newServer(Config{}.withDefaults(), hub.New(hub.Config{}, log), log, ln, defaultTimes())
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		ln.succeed = func() {
			// 50 + 100 + 200 + 400 + 800 + 3 × 1000 ms
			if d := time.Since(start); d != 4550*time.Millisecond {
				t.Errorf("accepting again after %v", d)
			}
			cancel()
		}
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
}

// failingListener is out of files so many times.
type failingListener struct {
	left    int
	succeed func()
}

func (l *failingListener) Accept() (net.Conn, error) {
	if l.left--; l.left >= 0 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	l.succeed()
	return nil, net.ErrClosed
}
func (l *failingListener) Close() error   { return nil }
func (l *failingListener) Addr() net.Addr { return &net.TCPAddr{} }

// A panic while serving ends that connection, is logged and counted; the next
// connection is served.
func TestPanicEndsOneConnection(t *testing.T) {
	certs, faults := serverTLS(t), 1
	r := newRig(t, Config{TLS: &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		if faults--; faults >= 0 {
			panic("fault")
		}
		return &certs.Certificates[0], nil
	}}})
	r.panics = 1
	r.open("one", 0)
	url := strings.Replace(r.url("one-key"), "rtmp:", "rtmps:", 1)
	o := Options{TLS: &tls.Config{InsecureSkipVerify: true}}
	if _, err := Dial(t.Context(), url, o); err == nil {
		t.Error("a connection that panicked was served")
	}
	c, err := Dial(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if !strings.Contains(r.logs.String(), "panic=fault") {
		t.Error("the panic is not in the log")
	}
}

func TestStreamName(t *testing.T) {
	for name, ok := range map[string]bool{
		"a": true, "A.b_c-d@e+f": true, strings.Repeat("x", 128): true,
		"": false, strings.Repeat("x", 129): false, "a/b": false, "ä": false, "a b": false, "a\x00": false,
	} {
		if validName(name) != ok {
			t.Errorf("validName(%q) is %v", name, !ok)
		}
	}
}
