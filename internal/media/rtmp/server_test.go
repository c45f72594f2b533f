package rtmp

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"glimpse/internal/media/serve"
	"glimpse/internal/media/serve/servetest"
)

// dialRaw opens a TCP connection and shakes hands.
func (r *rig) dialRaw(handshaken bool) net.Conn {
	r.T.Helper()
	conn, err := net.Dial("tcp", r.server.Addr().String())
	if err != nil {
		r.T.Fatal(err)
	}
	r.T.Cleanup(func() { _ = conn.Close() })
	if !handshaken {
		return conn
	}
	if _, err := conn.Write(append([]byte{3}, make([]byte, 1536)...)); err != nil {
		r.T.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1+2*1536)); err != nil {
		r.T.Fatal(err)
	}
	if _, err := conn.Write(make([]byte, 1536)); err != nil {
		r.T.Fatal(err)
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
	r.Open("one", 0)
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
			for l := range strings.Lines(r.Logs.String()) {
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
	r := newRig(t, Config{Limits: serve.Limits{PerAddr: 2}})
	one, two := r.dialRaw(true), r.dialRaw(true)
	three := r.dialRaw(false)
	if !closedWithin(three, 2*time.Second) {
		t.Error("the third connection is served")
	}
	if n := r.server.Stats().Refused; n != 1 {
		t.Errorf("%d connections counted as refused", n)
	}
	_ = one.Close()
	servetest.Until(t, "a place", func() bool {
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
	r.Panics = 1
	r.Open("one", 0)
	url := r.url("one-key")
	o := Options{TLS: &tls.Config{InsecureSkipVerify: true}}
	if _, err := Dial(t.Context(), url, o); err == nil {
		t.Error("a connection that panicked was served")
	}
	c, err := Dial(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if !strings.Contains(r.Logs.String(), "panic=fault") {
		t.Error("the panic is not in the log")
	}
}
