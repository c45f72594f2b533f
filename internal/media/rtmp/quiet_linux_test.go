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

// A quiet socket hides nothing: what is there is read, what comes later wakes a
// read that waits for it, and the end and the deadline are seen.
func TestQuietSocketHidesNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
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
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
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
