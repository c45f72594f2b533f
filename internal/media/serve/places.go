package serve

import (
	"net"
	"net/netip"
	"sync"
)

// Limits bound the connections. Zero fields take the defaults.
type Limits struct {
	Conns          int // in total; default 8192
	PerAddr        int // of one address (IPv6: one /64); default 2048
	Pending        int // of strangers, who were not let in yet; default 1024
	PendingPerAddr int // of strangers of one address; default 512
}

func (l Limits) withDefaults() Limits {
	def := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	def(&l.Conns, 8192)
	def(&l.PerAddr, 2048)
	def(&l.Pending, 1024)
	def(&l.PendingPerAddr, 512)
	return l
}

// places counts connections: all of them and those of strangers, in total and by
// address. Strangers are fewer, so that they cannot take the places of those who
// are served.
type places struct {
	limits Limits

	mu     sync.Mutex
	all    tally
	byAddr map[netip.Addr]*tally
}

type tally struct{ conns, pending int }

// Place is one connection's. Its methods are for one goroutine.
type Place struct {
	in     *places
	addr   netip.Addr
	served bool
}

// enter gives a connection a place, or nil when there is none.
func (p *places) enter(a netip.Addr) *Place {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, l := p.byAddr[a], &p.limits
	if t == nil {
		t = &tally{}
	}
	if p.all.conns >= l.Conns || p.all.pending >= l.Pending || t.conns >= l.PerAddr || t.pending >= l.PendingPerAddr {
		return nil
	}
	for _, t := range [...]*tally{&p.all, t} {
		t.conns++
		t.pending++
	}
	p.byAddr[a] = t
	return &Place{in: p, addr: a}
}

// Served says that the connection was let in: it is no stranger any more.
// Idempotent.
func (p *Place) Served() {
	if p.served {
		return
	}
	p.served = true
	p.in.mu.Lock()
	defer p.in.mu.Unlock()
	p.in.all.pending--
	p.in.byAddr[p.addr].pending--
}

// IsServed reports whether Served was called.
func (p *Place) IsServed() bool { return p.served }

// leave gives the place back.
func (p *Place) leave() {
	p.Served()
	in := p.in
	in.mu.Lock()
	defer in.mu.Unlock()
	in.all.conns--
	if t := in.byAddr[p.addr]; t.conns > 1 {
		t.conns--
	} else {
		delete(in.byAddr, p.addr)
	}
}

// host is a peer's address for counting; IPv6 hosts count by their /64.
func host(at net.Addr) netip.Addr {
	if at == nil {
		return netip.Addr{}
	}
	ap, err := netip.ParseAddrPort(at.String())
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
