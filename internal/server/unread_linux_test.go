package server

import (
	"context"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sentMuch is a connection that is watched and has more to read than fits into the
// sockets, and its peer, with a window much smaller than a segment of loopback.
func sentMuch(t *testing.T, watch *unread) (peer net.Conn, over <-chan error) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := watch.listener(inner)
	t.Cleanup(func() { l.Close() })
	small := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 8<<10) })
	}}
	peer, err = small.DialContext(context.Background(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	written := make(chan error, 1)
	go func() {
		_, err := c.Write(make([]byte, 16<<20))
		written <- err
	}()
	time.Sleep(50 * time.Millisecond) // the sockets fill
	return peer, written
}

// Who reads nothing has gone after twelve looks; who reads a little between two stays,
// whatever its window, and so do who was sent nothing and who is watched no more.
//
// F10
func TestUnread(t *testing.T) {
	watch := newUnread()
	_, cut := sentMuch(t, watch)
	sips, slow := sentMuch(t, watch)
	hijacked, kept := sentMuch(t, watch)
	for c := range watch.conns {
		if c.RemoteAddr().String() == hijacked.LocalAddr().String() {
			watch.forget(c)
		}
	}
	for i := range 3 * unreadMost {
		if watch.look(); i < unreadMost-1 {
			select {
			case err := <-cut:
				t.Fatalf("%d looks: %v", i+1, err)
			default:
			}
		}
		if _, err := io.ReadFull(sips, make([]byte, 64<<10)); err != nil {
			t.Fatalf("a slow reader after %d looks: %v", i+1, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	select {
	case err := <-cut:
		if err == nil {
			t.Error("all was read")
		}
	case <-time.After(5 * time.Second):
		t.Error("who reads nothing is kept")
	}
	for name, over := range map[string]<-chan error{"who reads slowly": slow, "who is watched no more": kept} {
		select {
		case err := <-over:
			t.Errorf("%s: %v", name, err)
		default:
		}
	}
	if n := watch.closed.Load(); n != 1 {
		t.Errorf("%d closed", n)
	}
	_ = sips.Close()
	if watch.look(); len(watch.conns) > 1 {
		t.Errorf("%d are watched", len(watch.conns))
	}
}

// Looks that are late on a busy machine count for the time that has passed; one alone after
// a pause, in which the peer could not confirm anything either, does not.
//
// F10
func TestLateLooks(t *testing.T) {
	for _, tt := range []struct {
		name  string
		looks []time.Duration // after the last progress
		last  bool            // the peer is given up at the last, and not sooner
	}{
		{"in time", []time.Duration{750, 1500, 2250, 3000, 3750, 4500, 5250, 6000, 6750, 7500, 8250, 9000}, true},
		{"eleven", []time.Duration{750, 1500, 2250, 3000, 3750, 4500, 5250, 6000, 6750, 7500, 8250}, false},
		{"late", []time.Duration{750, 5000, 9100}, true},
		{"two", []time.Duration{750, 30_000}, false},
	} {
		began := time.Now()
		at := &unreadConn{since: began}
		if at.stands(true, 7, began) {
			t.Errorf("%s: given up when it has read", tt.name)
		}
		for i, look := range tt.looks {
			given, last := at.stands(true, 7, began.Add(look*time.Millisecond)), i == len(tt.looks)-1
			if given != (last && tt.last) {
				t.Errorf("%s: look %d, after %d ms: given up %v", tt.name, i+1, look, given)
			}
		}
	}
}
