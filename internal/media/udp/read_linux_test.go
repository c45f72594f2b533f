package udp

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

func open(t *testing.T) *Socket {
	t.Helper()
	s, err := Listen("udp", "127.0.0.1:0", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func dial(t *testing.T, s *Socket) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(s.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Bursts are read whole and in order, of several peers, with a pause and without.
func TestReadsBursts(t *testing.T) {
	for _, pause := range []time.Duration{0, time.Millisecond} {
		t.Run(pause.String(), func(t *testing.T) {
			s := open(t)
			const peers, packets = 3, 100
			var group sync.WaitGroup
			defer group.Wait()
			for k := range peers {
				peer := dial(t, s)
				group.Go(func() {
					for i := range packets {
						if _, err := peer.Write([]byte{byte(k), byte(i)}); err != nil {
							t.Error(err)
						}
					}
				})
			}
			next, from := [peers]byte{}, [peers]netip.AddrPort{}
			take := func(d Datagram) {
				if len(d.Data) != 2 || int(d.Data[0]) >= peers {
					t.Fatalf("came: %v", d.Data)
				}
				k, at := d.Data[0], d.From.Remote
				if d.Data[1] != next[k] || from[k].IsValid() && from[k] != at {
					t.Fatalf("packet %d of peer %d from %v, want %d from %v", d.Data[1], k, at, next[k], from[k])
				}
				next[k], from[k] = next[k]+1, at
			}
			for total := 0; total < peers*packets; {
				n, err := s.Read(pause, take)
				if err != nil {
					t.Fatal(err)
				}
				total += n
			}
		})
	}
}

// A pause ends although nothing came; without one Read waits, and Stop ends that.
func TestReadEnds(t *testing.T) {
	s := open(t)
	none := func(d Datagram) { t.Errorf("came: %v", d.Data) }
	if n, err := s.Read(time.Millisecond, none); n != 0 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	s.Wake() // before it waits
	if n, err := s.Read(0, none); n != 0 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	late := time.AfterFunc(20*time.Millisecond, s.Wake) // while it waits, most likely
	defer late.Stop()
	if n, err := s.Read(0, none); n != 0 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := s.Read(0, none); err != nil {
				ended <- err
				return
			}
		}
	}()
	time.Sleep(20 * time.Millisecond) // it blocks, most likely
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("stopped with %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the reader does not stop")
	}
	if _, err := s.Read(time.Millisecond, none); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Stop: %v", err)
	}
}

// A datagram's time is that of its arrival, however long the reader slept. BenchmarkRead
// has what the pause is for.
func TestArrivalTimes(t *testing.T) {
	s := open(t)
	peer := dial(t, s)
	var sent []time.Time
	for range 3 {
		sent = append(sent, time.Now())
		if _, err := peer.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(40 * time.Millisecond)
	}
	i := 0
	if _, err := s.Read(time.Millisecond, func(d Datagram) {
		late := d.At.Sub(sent[i])
		if i++; late < -time.Millisecond || late > 30*time.Millisecond {
			t.Errorf("datagram %d came %v after it was sent", i, late)
		}
	}); err != nil || i != 3 {
		t.Fatalf("%d datagrams, %v", i, err)
	}
}

// What came while nothing was waited for is there at once, and a Read without pause
// is not woken for what later ones with a pause leave in the socket.
func TestReadAlternates(t *testing.T) {
	s := open(t)
	peer := dial(t, s)
	count := func(Datagram) {}
	for round := range 20 {
		for range 3 {
			if _, err := peer.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := s.Read(0, count); err != nil || n != 3 {
			t.Fatalf("round %d: %d datagrams, %v", round, n, err)
		}
		if _, err := peer.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Read(time.Millisecond, count); err != nil || n != 1 {
			t.Fatalf("round %d: %d datagrams after a pause, %v", round, n, err)
		}
	}
}
