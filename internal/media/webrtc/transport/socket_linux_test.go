package transport

import (
	"net"
	"net/netip"
	"slices"
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
			_, from, err := s.read(buf)
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
