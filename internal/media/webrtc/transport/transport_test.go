package transport

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/stun/v3"
	"go.uber.org/goleak"

	"glimpse/internal/media/udp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTrains(t *testing.T) {
	same := func(n, size int) []int { return slices.Repeat([]int{size}, n) }
	for _, test := range []struct {
		name  string
		sizes []int
		want  []train
	}{
		{"none", nil, nil},
		{"one", []int{50}, []train{{0, 1, 50, 50}}},
		{"only the last is shorter", append(same(3, 1200), 80), []train{{0, 4, 1200, 3680}}},
		{"after a shorter one nothing follows", []int{1200, 80, 80}, []train{{0, 2, 1200, 1280}, {2, 1, 80, 80}}},
		{"a longer one begins anew", []int{40, 1200, 1200}, []train{{0, 1, 40, 40}, {1, 2, 1200, 2400}}},
		{"64 segments", same(65, 100), []train{{0, 64, 100, 6400}, {64, 1, 100, 100}}},
		{"65,507 bytes", same(55, 1200), []train{{0, 54, 1200, 64_800}, {54, 1, 1200, 1200}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := trains(nil, test.sizes); !slices.Equal(got, test.want) {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
}

// Clients on this host get loopback candidates, others do not; configured hosts
// come first, and the address by which we were called is one.
func TestCandidates(t *testing.T) {
	hosts := []netip.Addr{netip.MustParseAddr("198.51.100.9")}
	wild, bound := &Mux{hosts: hosts, v6: true}, &Mux{}
	for addr, m := range map[string]*Mux{":0": wild, "127.0.0.1:0": bound} {
		s, err := udp.Listen("udp", addr, socketBuffer)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		m.socket = socket{s}
	}
	loopback := netip.MustParseAddr("127.0.0.1")
	for _, test := range []struct {
		name         string
		mux          *Mux
		remote, host string
		has, hasNot  []netip.Addr
	}{
		{"local", wild, "127.0.0.1:5", "localhost:8002", append(hosts, loopback), nil},
		{"remote", wild, "203.0.113.5:5", "glimpse.example:8002", hosts, []netip.Addr{loopback}},
		{"behind one-to-one NAT", wild, "203.0.113.5:5", "192.0.2.44:8002", []netip.Addr{netip.MustParseAddr("192.0.2.44")}, []netip.Addr{loopback}},
		{"a forged host", wild, "203.0.113.5:5", "127.0.0.1:8002", hosts, []netip.Addr{loopback}},
		{"IPv6", wild, "[2001:db8::5]:5", "[2001:db8::1]", []netip.Addr{netip.MustParseAddr("2001:db8::1")}, []netip.Addr{loopback}},
		{"bound to an address", bound, "203.0.113.5:5", "192.0.2.44", []netip.Addr{loopback}, []netip.Addr{netip.MustParseAddr("192.0.2.44")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []netip.Addr
			for _, c := range test.mux.Candidates(netip.MustParseAddrPort(test.remote).Addr(), test.host) {
				got = append(got, c.Addr())
				if c.Port() != test.mux.Addr().Port() {
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
			if len(test.mux.hosts) > 0 && got[0] != hosts[0] {
				t.Errorf("%v does not begin with the configured host", got)
			}
		})
	}
}

// quiet is a handler that only counts.
type quiet struct{ ended, moved atomic.Int32 }

func (*quiet) Connected(*Keys, Destination) {}
func (q *quiet) Moved(Destination)          { q.moved.Add(1) }
func (*quiet) Received([]byte, time.Time)   {}
func (*quiet) Missed(time.Time)             {}
func (q *quiet) Ended(string)               { q.ended.Add(1) }

// running returns a Mux that runs until the test is over.
func running(t *testing.T) *Mux {
	t.Helper()
	m, err := Listen(Config{Addr: "127.0.0.1:0"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- m.Run(ctx, func(time.Time) time.Duration { return 0 }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
	return m
}

// peerOf opens a peer of a client that calls itself "theirs".
func peerOf(t *testing.T, m *Mux, h Handler) *Peer {
	t.Helper()
	p, err := m.Open(Spec{Client: testFrom.Addr(), Ufrag: "theirs", Fingerprint: "sha-256 00", Handler: h, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// checkOf is a check that a peer's client would send.
func checkOf(t *testing.T, p *Peer) []byte {
	t.Helper()
	ufrag, password := p.Credentials()
	return checkBytes(t, ufrag+":theirs", password, stun.RawAttribute{Type: stun.AttrUseCandidate})
}

// Strangers get no answer, whatever they send.
func TestStrangersAreIgnored(t *testing.T) {
	m := running(t)
	peerOf(t, m, &quiet{})
	for _, b := range [][]byte{
		{}, {0}, {22, 254}, {128, 200, 0, 0}, {0, 1, 0, 0}, checkBytes(t, "OURS:theirs", "x"), make([]byte, 1500),
	} {
		m.datagram(b, path{remote: testFrom}, time.Now())
	}
	if s := m.Stats(); s.Strange != 5 || s.Pending != 1 {
		t.Errorf("%+v", s)
	}
}

// Run returns when its context ends although handshakes are under way.
func TestRunEndsDuringHandshake(t *testing.T) {
	m := running(t)
	p := peerOf(t, m, &quiet{})
	m.datagram(checkOf(t, p), path{remote: testFrom}, time.Now())
	if p.Remote() != testFrom {
		t.Fatal("the check was not taken")
	}
}

// The addresses of one peer are bounded, and those that were forgotten are
// strangers'.
func TestAddressesAreBounded(t *testing.T) {
	m := running(t)
	p := peerOf(t, m, &quiet{})
	for i := range 2 * maxAddresses {
		m.datagram(checkOf(t, p), path{remote: netip.AddrPortFrom(testFrom.Addr(), uint16(1000+i))}, time.Now())
	}
	if len(p.known) != maxAddresses || len(m.byAddr) != maxAddresses {
		t.Errorf("%d addresses kept, %d in the table", len(p.known), len(m.byAddr))
	}
	p.Close()
	if len(m.byAddr) != 0 || len(m.byUfrag) != 0 || m.Stats().Failed != 1 {
		t.Errorf("%d addresses and %d names left behind", len(m.byAddr), len(m.byUfrag))
	}
}

// RFC 9725 §4.3.3: after an ICE restart the old credentials work until the first
// check with the new ones.
func TestIceRestart(t *testing.T) {
	m := running(t)
	p := peerOf(t, m, &quiet{})
	before, first := checkOf(t, p), p.creds[0].ufrag
	for range 3 { // only the last one counts
		if err := p.Restart("theirs"); err != nil {
			t.Fatal(err)
		}
	}
	strange := func() uint64 { return m.Stats().Strange }
	m.datagram(before, path{remote: testFrom}, time.Now())
	if strange() != 0 {
		t.Fatal("the old credentials were refused before the new ones were used")
	}
	m.datagram(checkOf(t, p), path{remote: testFrom}, time.Now())
	m.datagram(before, path{remote: testFrom}, time.Now())
	if strange() != 1 || len(m.byUfrag) != 1 || m.byUfrag[first] != nil {
		t.Errorf("%d strangers, %d names", strange(), len(m.byUfrag))
	}
	p.Close()
	if err := p.Restart("theirs"); err == nil {
		t.Error("a closed peer was restarted")
	}
}

// What never connects ends after 10 s, and what does not check any more after 30.
func TestPeersExpire(t *testing.T) {
	m := running(t)
	h := &quiet{}
	p := peerOf(t, m, h)
	m.Sweep(p.Since().Add(9 * time.Second))
	if h.ended.Load() != 0 {
		t.Fatal("ended early")
	}
	m.Sweep(p.Since().Add(10 * time.Second))
	if h.ended.Load() != 1 {
		t.Error("a peer that did not connect stays")
	}
	p.connected, p.checked = true, p.Since()
	if p.expired(p.Since().Add(29*time.Second)) != "" || p.expired(p.Since().Add(30*time.Second)) == "" {
		t.Error("a peer that does not check is not let go at 30 s")
	}
	p.connected = false
}

// The network changes under a peer: the newest nominated address is followed.
func TestRebinding(t *testing.T) {
	m := running(t)
	h := &quiet{}
	p := peerOf(t, m, h)
	m.datagram(checkOf(t, p), path{remote: testFrom}, time.Now())
	p.connected = true
	moved := netip.AddrPortFrom(testFrom.Addr(), 9)
	ufrag, password := p.Credentials()
	for i, check := range [][]byte{checkBytes(t, ufrag+":theirs", password), checkOf(t, p), checkOf(t, p)} {
		m.datagram(check, path{remote: moved}, time.Now())
		if want := int32(min(i, 1)); h.moved.Load() != want || (p.Remote() == moved) != (want == 1) {
			t.Fatalf("check %d: at %v, moved %d times", i, p.Remote(), h.moved.Load())
		}
	}
	p.connected = false
}

// FAULTS 1: those that wait are bounded by address.
func TestCrowded(t *testing.T) {
	m := running(t)
	for range maxPendingSite {
		if m.Crowded(testFrom.Addr()) {
			t.Fatal("crowded early")
		}
		peerOf(t, m, &quiet{})
	}
	if !m.Crowded(testFrom.Addr()) || m.Crowded(netip.MustParseAddr("198.51.100.1")) {
		t.Error("the bound is not by address")
	}
}

// FuzzFrame: no bytes of a stranger's TCP connection make more than a packet.
func FuzzFrame(f *testing.F) {
	f.Add([]byte{0, 2, 1, 2, 0, 0, 255, 255, 1})
	f.Add([]byte{6, 64})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, buf := bytes.NewReader(b), make([]byte, udp.MaxDatagram)
		for total := 0; ; {
			p, err := readFrame(r, buf)
			if err != nil {
				return
			}
			if total += 2 + len(p); total != len(b)-r.Len() || total > len(b) {
				t.Fatalf("%d bytes of %d make packets", total, len(b))
			}
		}
	})
}
