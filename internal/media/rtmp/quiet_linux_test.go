package rtmp

import (
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
