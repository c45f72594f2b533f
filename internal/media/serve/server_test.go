package serve

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Strangers of one address do not take the places of others, and give theirs
// back when they are served or leave.
func TestPlaces(t *testing.T) {
	p := places{limits: Limits{Conns: 2000, PerAddr: 600}.withDefaults(), byAddr: map[netip.Addr]*tally{}}
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	var held []*Place
	for i := range p.limits.PendingPerAddr {
		place := p.enter(a)
		if place == nil {
			t.Fatalf("stranger %d has no place", i)
		}
		held = append(held, place)
	}
	if p.enter(a) != nil {
		t.Error("one stranger too many of an address")
	}
	other := p.enter(b)
	if other == nil {
		t.Fatal("another address has no place")
	}
	held[0].Served()
	held[0].Served()
	more := p.enter(a)
	if more == nil {
		t.Fatal("the place of one who is served stays taken")
	}
	for _, place := range append(held, more, other) {
		place.leave()
	}
	if p.all != (tally{}) || len(p.byAddr) != 0 {
		t.Errorf("%+v and %d addresses remain", p.all, len(p.byAddr))
	}
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8::1:2:3:4": "2001:db8::",
	} {
		if got := host(&net.TCPAddr{IP: net.ParseIP(in), Port: 1}); got.String() != want {
			t.Errorf("%s counts as %v", in, got)
		}
	}
}

func TestValidName(t *testing.T) {
	for name, ok := range map[string]bool{
		"a": true, "A.b_c-d@e+f": true, strings.Repeat("x", 128): true,
		"": false, strings.Repeat("x", 129): false, "a/b": false, "ä": false, "a b": false, "a\x00": false,
	} {
		if ValidName(name) != ok {
			t.Errorf("ValidName(%q) is %v", name, !ok)
		}
	}
}

// listener gives the connections of a channel, or whatever else accept does.
type listener struct {
	conns  chan net.Conn
	closed chan struct{}
	accept func() (net.Conn, error)
}

func newListener() *listener {
	return &listener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *listener) Accept() (net.Conn, error) {
	if l.accept != nil {
		return l.accept()
	}
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

// A listener that fails goes on: first after 50 ms, then ever longer, at most 500 ms.
func TestAcceptErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, left := newListener(), 8
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		l.accept = func() (net.Conn, error) {
			if left--; left >= 0 {
				return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
			}
			// 50 + 100 + 200 + 400 + 4 × 500 ms
			if d := time.Since(start); d != 2750*time.Millisecond {
				t.Errorf("accepting again after %v", d)
			}
			cancel()
			return nil, net.ErrClosed
		}
		s := New("test", l, Limits{}, slog.New(slog.DiscardHandler))
		if err := Run(ctx, s, Listener[net.Conn](l), nil, nil); err != nil {
			t.Error(err)
		}
	})
}

// A connection has a place or is told that there is none; a panic ends it alone;
// Close ends those that are there, waits for them, and needs no Run.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		New("test", newListener(), Limits{}, slog.New(slog.DiscardHandler)).Close() // never run

		l := newListener()
		s := New("test", l, Limits{Conns: 2}, slog.New(slog.DiscardHandler))
		crowded, served := 0, 0
		var ended atomic.Int32
		go func() {
			err := Run(t.Context(), s, Listener[net.Conn](l), func(net.Conn) { crowded++ }, func(_ context.Context, c net.Conn, p *Place) {
				p.Served()
				if served++; served == 1 {
					panic("fault")
				}
				_, _ = c.Read(make([]byte, 1)) // until it is closed
				time.Sleep(time.Second)
				ended.Add(1)
			})
			if err != nil {
				t.Error(err)
			}
		}()
		var far []net.Conn
		for range 4 {
			near, peer := net.Pipe()
			far = append(far, peer)
			l.conns <- addressed{near}
			synctest.Wait()
		}
		for i, open := range []bool{false, true, true, false} { // the first panicked, the last had no place
			_ = far[i].SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := far[i].Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) != open {
				t.Errorf("connection %d: %v", i, err)
			}
		}
		if crowded != 1 || s.Stats() != (Stats{Accepted: 4, Refused: 1, Panics: 1}) {
			t.Errorf("crowded %d, %+v", crowded, s.Stats())
		}
		s.Close()
		if ended.Load() != 2 || s.Held() != 0 {
			t.Errorf("Close did not wait: %d are held", s.Held())
		}
		s.Close()
	})
}

type addressed struct{ net.Conn }

func (addressed) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }
