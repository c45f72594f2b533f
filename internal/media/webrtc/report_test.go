package webrtc

import (
	"net/http/httptest"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/srtp/v3"
)

// MEDIA W5: one compound of sender reports for both media, from one clock: the
// first with the first packet, then each second, never with the timestamps of
// catching up.
func TestSenderReports(t *testing.T) {
	b := newBareViewer(t, payloadTypes{video: 108, audio: 111}, srtp.ProtectionProfileAeadAes128Gcm)
	start := time.Now()
	b.feed.origin.Store(start.Add(-5 * time.Second).UnixNano()) // 5 s into the timeline
	now := start
	fill(b.feed.video, 40, 30, 3000)
	b.join(now)
	b.pump(b.scratch, now)
	read := func() []rtcp.Packet {
		t.Helper()
		buf := make([]byte, maxDatagram)
		for {
			_ = b.peer.SetReadDeadline(time.Now().Add(5 * time.Second))
			n, err := b.peer.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			if buf[1] < 192 || buf[1] > 223 {
				continue
			}
			plain, err := b.theirs.DecryptRTCP(nil, buf[:n], nil)
			if err != nil {
				t.Fatal(err)
			}
			list, err := rtcp.Unmarshal(plain)
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
	}
	check := func(at time.Duration) {
		t.Helper()
		list := read()
		if len(list) != 3 {
			t.Fatalf("%d packets in the compound", len(list))
		}
		video, ok := list[0].(*rtcp.SenderReport)
		audio, ok2 := list[1].(*rtcp.SenderReport)
		if _, names := list[2].(*rtcp.SourceDescription); !ok || !ok2 || !names {
			t.Fatalf("%v", list)
		}
		if video.SSRC != b.feed.video.ssrc || audio.SSRC != b.feed.audio.ssrc || video.NTPTime != audio.NTPTime {
			t.Errorf("%v, %v", video, audio)
		}
		if got, want := video.RTPTime-b.feed.videoBase, ticks(at, videoClock); got != want {
			t.Errorf("video at %d, want %d", got, want)
		}
		if got, want := audio.RTPTime-b.feed.audioBase, ticks(at, audioClock); got != want {
			t.Errorf("audio at %d, want %d", got, want)
		}
	}
	check(5 * time.Second)
	b.pump(b.scratch, now.Add(999*time.Millisecond))
	b.pump(b.scratch, now.Add(time.Second))
	check(6 * time.Second)
	if got := ntp(time.Unix(0, 500_000_000)); got != 2_208_988_800<<32|1<<31 {
		t.Errorf("ntp %x", got)
	}
}

// Clients on this host get loopback candidates, others do not; configured hosts
// come first, and the address by which we were called is one.
func TestCandidates(t *testing.T) {
	hosts := []netip.Addr{netip.MustParseAddr("198.51.100.9")}
	socket, err := listen(":0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.close()
	wild := &Server{socket: socket, hosts: hosts, v6: true}
	bound, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer bound.close()
	loopback := netip.MustParseAddr("127.0.0.1")
	for _, test := range []struct {
		name         string
		server       *Server
		remote, host string
		has, hasNot  []netip.Addr
	}{
		{"local", wild, "127.0.0.1:5", "localhost:8002", append(hosts, loopback), nil},
		{"remote", wild, "203.0.113.5:5", "glimpse.example:8002", hosts, []netip.Addr{loopback}},
		{"behind one-to-one NAT", wild, "203.0.113.5:5", "192.0.2.44:8002", []netip.Addr{netip.MustParseAddr("192.0.2.44")}, []netip.Addr{loopback}},
		{"a forged host", wild, "203.0.113.5:5", "127.0.0.1:8002", hosts, []netip.Addr{loopback}},
		{"IPv6", wild, "[2001:db8::5]:5", "[2001:db8::1]", []netip.Addr{netip.MustParseAddr("2001:db8::1")}, []netip.Addr{loopback}},
		{"bound to an address", &Server{socket: bound}, "203.0.113.5:5", "192.0.2.44", []netip.Addr{loopback}, []netip.Addr{netip.MustParseAddr("192.0.2.44")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/live/x/whep", nil)
			r.RemoteAddr, r.Host = test.remote, test.host
			var got []netip.Addr
			for _, c := range test.server.candidates(r) {
				got = append(got, c.Addr())
				if c.Port() != test.server.Addr().Port() {
					t.Errorf("port %d", c.Port())
				}
			}
			for _, a := range test.has {
				if !slices.Contains(got, a) {
					t.Errorf("%v misses %v", got, a)
				}
			}
			for _, a := range test.hasNot {
				if slices.Contains(got, a) {
					t.Errorf("%v has %v", got, a)
				}
			}
			if len(test.server.hosts) > 0 && got[0] != hosts[0] {
				t.Errorf("%v does not begin with the configured host", got)
			}
		})
	}
}
