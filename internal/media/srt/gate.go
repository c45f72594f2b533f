package srt

import (
	"net"
	"net/netip"
	"sync"
)

// places bound the connections, in total and by address.
type places struct {
	total, perAddr int

	mu    sync.Mutex
	taken int
	by    map[netip.Addr]int
}

// take gives a connection a place, or reports that there is none. The place is
// given back once.
func (p *places) take(a netip.Addr) (giveBack func(), ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken >= p.total || p.by[a] >= p.perAddr {
		return nil, false
	}
	p.taken++
	p.by[a]++
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.taken--
		if p.by[a]--; p.by[a] == 0 {
			delete(p.by, a)
		}
	}), true
}

// host is a peer's address for counting; IPv6 hosts count by their /64.
func host(a net.Addr) netip.Addr {
	u, ok := a.(*net.UDPAddr)
	if !ok || u == nil {
		return netip.Addr{}
	}
	ip := u.AddrPort().Addr().Unmap().WithZone("")
	if p, err := ip.Prefix(64); ip.Is6() && err == nil {
		return p.Addr()
	}
	return ip
}
