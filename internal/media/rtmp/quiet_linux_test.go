package rtmp

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// sockets are both ends of a TCP connection.
func sockets(t *testing.T) (one, other net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if other, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	if one, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { one.Close() })
	return one, other
}

// A quiet socket hides nothing: what is there is read, what comes later wakes a
// read that waits for it, and the end and the deadline are seen.
func TestQuietSocketHidesNothing(t *testing.T) {
	conn, peer := sockets(t)
	s := newSource(conn)
	s.quiet.begin()
	if !s.quiet.on {
		t.Fatal("a TCP socket does not become quiet")
	}
	buf := make([]byte, 100)
	say := func(text string) {
		if _, err := io.WriteString(peer, text); err != nil {
			t.Fatal(err)
		}
	}
	hear := func(want string) {
		t.Helper()
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		if n, err := s.Read(buf); err != nil || string(buf[:n]) != want {
			t.Fatalf("read %q %v, want %q", buf[:n], err, want)
		}
	}
	say("one")
	time.Sleep(20 * time.Millisecond)
	hear("one")
	if !s.quiet.on || s.full {
		t.Error("quiet no more, though something was there")
	}
	time.AfterFunc(50*time.Millisecond, func() { say("two") })
	hear("two") // waited for
	if s.quiet.on {
		t.Error("quiet though it waited")
	}
	s.quiet.begin()
	_ = conn.SetReadDeadline(time.Unix(1, 0))
	if _, err := s.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %v", err)
	}
	s.quiet.begin()
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	time.AfterFunc(50*time.Millisecond, func() { _ = peer.Close() })
	if n, err := s.Read(buf); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %d %v", n, err)
	}
}

// Only of a socket that is read as it is can be said that nothing more has come.
// One read of TLS gives one record: who rested after each would fall behind a
// publisher of thirty pictures a second.
func TestDry(t *testing.T) {
	one, other := net.Pipe()
	defer one.Close()
	defer other.Close()
	socket, _ := sockets(t)
	for name, c := range map[string]struct {
		conn net.Conn
		want bool
	}{
		"TCP":        {socket, true},
		"TLS on TCP": {tls.Server(socket, &tls.Config{}), false},
		"a pipe":     {one, false},
	} {
		if got := newChunkReader(c.conn, strangerLimits()).dry(); got != c.want {
			t.Errorf("%s: dry %v, want %v", name, got, c.want)
		}
	}
}
