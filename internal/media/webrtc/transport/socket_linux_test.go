package transport

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"
)

// MEDIA W4: a kernel that refuses offload costs one failed send, no packet.
func TestOffloadFallsBack(t *testing.T) {
	s, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if !s.raw.segment {
		t.Fatal("this kernel has no UDP_SEGMENT")
	}
	peer, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	d := s.destination(path{remote: peer.LocalAddr().(*net.UDPAddr).AddrPort()})
	const count = 150 // over every kernel's limit: EINVAL
	if err := s.send(&d, make([]byte, count*20), train{count: count, size: 20, bytes: count * 20}); err != nil {
		t.Fatal(err)
	}
	if d.offload {
		t.Error("offload is still on")
	}
	buf := make([]byte, 100)
	for i := range count {
		_ = peer.SetReadDeadline(time.Now().Add(5 * time.Second))
		if n, err := peer.Read(buf); err != nil || n != 20 {
			t.Fatalf("datagram %d: %d bytes, %v", i, n, err)
		}
	}
}

// A wildcard socket answers from the address that was asked (IP_PKTINFO), over
// IPv4 and IPv6.
func TestWildcardAnswersFromTheAddressAsked(t *testing.T) {
	s, err := listen(":0")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for _, asked := range []string{"127.0.0.1", "127.0.0.2", "::1"} {
		t.Run(asked, func(t *testing.T) {
			addr := netip.MustParseAddr(asked)
			if !addr.Is4() && !s.raw.v6 {
				return // a host without IPv6
			}
			to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, s.addr().Port()))
			peer, err := net.DialUDP("udp", nil, to) // connected: takes answers from there only
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			if _, err := peer.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 100)
			_, from, err := s.read()
			if err != nil {
				t.Fatal(err)
			}
			if from.local != addr {
				t.Errorf("asked at %v", from.local)
			}
			if err := s.write([]byte("one"), from); err != nil {
				t.Fatal(err)
			}
			d := s.destination(from)
			if err := s.send(&d, []byte("twotwo"), train{count: 2, size: 3, bytes: 6}); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				_ = peer.SetReadDeadline(time.Now().Add(5 * time.Second))
				if n, err := peer.Read(buf); err != nil || n != 3 {
					t.Fatalf("%d bytes, %v", n, err)
				}
			}
			if !d.offload {
				t.Error("offload was refused")
			}
		})
	}
}

// Bursts are read whole and in order, by several peers; stop wakes the reader.
func TestReadsBursts(t *testing.T) {
	s, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	const peers, packets = 3, 100
	var group sync.WaitGroup
	for k := range peers {
		peer, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(s.addr()))
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		group.Go(func() {
			for i := range packets {
				if _, err := peer.Write([]byte{byte(k), byte(i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	next, from := [peers]byte{}, [peers]netip.AddrPort{}
	for range peers * packets {
		b, at, err := s.read()
		if err != nil || len(b) != 2 || int(b[0]) >= peers {
			t.Fatalf("%v %v", b, err)
		}
		k := b[0]
		if b[1] != next[k] || from[k].IsValid() && from[k] != at.remote {
			t.Fatalf("packet %d of peer %d from %v, want %d from %v", b[1], k, at.remote, next[k], from[k])
		}
		next[k], from[k] = next[k]+1, at.remote
	}
	group.Wait()
	ended := make(chan error)
	go func() {
		_, _, err := s.read()
		ended <- err
	}()
	time.Sleep(20 * time.Millisecond) // it blocks, most likely
	if err := s.stop(); err != nil {
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
}

// MEDIA W4: without segmentation offload the same datagrams leave one by one.
func TestOffloadAndFallbackSendTheSame(t *testing.T) {
	s, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	peer, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	var got [2][][]byte
	for i := range got {
		d := s.destination(path{remote: peer.LocalAddr().(*net.UDPAddr).AddrPort()})
		d.offload = i == 0
		bytes := make([]byte, 5*300+70)
		for k := range bytes {
			bytes[k] = byte(k / 50)
		}
		if err := s.send(&d, bytes, train{count: 6, size: 300, bytes: len(bytes)}); err != nil {
			t.Fatal(err)
		}
		for range 6 {
			buf := make([]byte, 1000)
			_ = peer.SetReadDeadline(time.Now().Add(5 * time.Second))
			n, err := peer.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			got[i] = append(got[i], buf[:n])
		}
	}
	if !slices.EqualFunc(got[0], got[1], slices.Equal[[]byte]) || len(got[0][5]) != 70 {
		t.Errorf("%d and %d datagrams differ", len(got[0]), len(got[1]))
	}
}
