package udp

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// MEDIA W4: a kernel that refuses offload costs one failed send, no packet.
func TestOffloadFallsBack(t *testing.T) {
	s, err := Listen("udp", "127.0.0.1:0", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !s.raw.segment {
		t.Fatal("this kernel has no UDP_SEGMENT")
	}
	peer, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	d := s.Destination(Path{Remote: peer.LocalAddr().(*net.UDPAddr).AddrPort()})
	const count = 150 // over every kernel's limit: EINVAL
	if err := s.Send(&d, make([]byte, count*20), 20); err != nil {
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
	s, err := Listen("udp", ":0", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, asked := range []string{"127.0.0.1", "127.0.0.2", "::1"} {
		t.Run(asked, func(t *testing.T) {
			addr := netip.MustParseAddr(asked)
			if !addr.Is4() && !s.raw.v6 {
				return // a host without IPv6
			}
			to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, s.Addr().Port()))
			peer, err := net.DialUDP("udp", nil, to) // connected: takes answers from there only
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			if _, err := peer.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 100)
			var from Path
			if n, err := s.Read(0, func(d Datagram) { from = d.From }); err != nil || n != 1 {
				t.Fatal(n, err)
			}
			if from.Local != addr {
				t.Errorf("asked at %v", from.Local)
			}
			if err := s.Write([]byte("one"), from); err != nil {
				t.Fatal(err)
			}
			d := s.Destination(from)
			if err := s.Send(&d, []byte("twotwo"), 3); err != nil {
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
	s, err := Listen("udp", "127.0.0.1:0", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	peer, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	var got [3][][]byte
	for i := range got {
		d := s.Destination(Path{Remote: peer.LocalAddr().(*net.UDPAddr).AddrPort()})
		d.offload = i != 1
		bytes := make([]byte, 5*300+70)
		for k := range bytes {
			bytes[k] = byte(k / 50)
		}
		err := s.Send(&d, bytes, 300)
		if i == 2 {
			err = s.SendPackets(&d, slices.Collect(slices.Chunk(bytes, 300)))
		}
		if err != nil {
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
	if !slices.EqualFunc(got[0], got[1], slices.Equal[[]byte]) || !slices.EqualFunc(got[0], got[2], slices.Equal[[]byte]) || len(got[0][5]) != 70 {
		t.Errorf("%d, %d and %d datagrams differ", len(got[0]), len(got[1]), len(got[2]))
	}
}
