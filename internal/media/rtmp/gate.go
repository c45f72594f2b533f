package rtmp

import (
	"net"
	"net/netip"
	"sync"
)

// gate counts connections: all of them and those of strangers, who have neither
// published nor played yet, in total and by address.
type gate struct {
	maxConns, maxPerAddr int

	mu       sync.Mutex
	conns    int
	pending  int
	byRemote map[netip.Addr]*tally
}

type tally struct{ conns, pending int }

// Strangers are fewer than connections, so that they cannot take the places of
// those who are served; the numbers keep their memory below 64 MiB (FAULTS F24).
const (
	maxPending        = 1024
	maxPendingPerAddr = 512
)

// enter counts a connection in, or reports false when there is no place.
func (g *gate) enter(a netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.byRemote[a]
	if t == nil {
		t = &tally{}
	}
	if g.conns >= g.maxConns || g.pending >= maxPending || t.conns >= g.maxPerAddr || t.pending >= maxPendingPerAddr {
		return false
	}
	g.conns++
	g.pending++
	t.conns++
	t.pending++
	g.byRemote[a] = t
	return true
}

// served makes a stranger one who is served.
func (g *gate) served(a netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pending--
	g.byRemote[a].pending--
}

// leave counts a connection out.
func (g *gate) leave(a netip.Addr, pending bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.byRemote[a]
	g.conns--
	t.conns--
	if pending {
		g.pending--
		t.pending--
	}
	if t.conns == 0 {
		delete(g.byRemote, a)
	}
}

// remote is a peer's address for counting; IPv6 hosts count by their /64.
func remote(c net.Conn) netip.Addr {
	ap, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	a := ap.Addr().Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}
