package strangers

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// forWords is the part of the room, one in so many, that is kept for what is said: those
// who come would else leave none, and who speaks first would have to go.
const forWords = 8

// room is so much, with what is kept for words when it is about those.
func room(limit int, words bool) int {
	if words {
		limit += limit / forWords
	}
	return limit
}

// hasRoom reports whether a stranger could come in without another's going.
func (d *Door) hasRoom(from netip.Addr) bool {
	g := d.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.addrFull(site(from), d.base, false) && !g.full(d.base, false)
}

// addrFull reports whether an address may not have n bytes more.
func (g *Gate) addrFull(addr netip.Prefix, n int, words bool) bool {
	t := g.byAddr[addr]
	return t != nil && t.held+n > room(g.limits.Addr, words)
}

// full reports whether nobody may.
func (g *Gate) full(n int, words bool) bool {
	return g.all.held+n > room(g.limits.All, words) && g.all.order.Len() > 0
}

// short is whose room p may not have n bytes more of: its address's, which must make room
// itself, or else that of the fullest door; nil when there is room.
func (g *Gate) short(p *Place, n int, words bool) *tally {
	switch {
	case g.addrFull(p.addr, n, words):
		return g.byAddr[p.addr]
	case g.full(n, words):
		return &slices.MaxFunc(g.doors, func(a, b *Door) int { return cmp.Compare(a.held, b.held) }).tally
	}
	return nil
}

// speaks returns who has to go before p may say n bytes more; nil when there is room.
// While nobody has stayed beyond its time that is who holds most of what coming costs,
// and may be p.
func (g *Gate) speaks(p *Place, n int) *Place {
	short, now := g.short(p, n, true), time.Now()
	if short == nil {
		return nil
	}
	victim := g.worst(short, now)
	if victim.silent(now) >= g.stay(victim) {
		return victim
	}
	if !g.addrFull(p.addr, n, true) {
		short = &g.all
	}
	victim, most := p, p.share(n)
	for e := short.order.Front(); e != nil; e = e.Next() {
		if other := e.Value.(*Place); other.share(0) > most {
			victim, most = other, other.share(0)
		}
	}
	return victim
}

// looked is how many of those who have been silent for longest are compared.
const looked = 64

// worst is who has stayed for longest beyond its time, as a multiple of that. It may be
// one who was not heard yet: then a newcomer waits, since those whom the server waits
// for would else go first, who are the slow but honest.
func (g *Gate) worst(t *tally, now time.Time) (worst *Place) {
	most := -1.0
	for e, i := t.order.Front(), 0; e != nil && i < looked; e, i = e.Next(), i+1 {
		p := e.Value.(*Place)
		if score := now.Sub(p.heard).Seconds() / g.stay(p).Seconds(); score > most {
			worst, most = p, score
		}
	}
	return worst
}

// late is how long the server may take to listen to who has come or to deal with what
// was said, if that was little: longer than a processor that others want takes.
const late = time.Second

// silent is for how long the peer has said nothing.
func (p *Place) silent(now time.Time) time.Duration {
	d := now.Sub(p.heard)
	if p.early {
		d = max(0, d-time.Duration(float64(late)/max(1, p.share(0))))
	}
	return d
}

// answerTimes as long as one who has only come stays who has said something: the answer
// is on its way, and the next word comes a round trip later.
const answerTimes = 4

// stay is how long a place is its peer's after the last word: all of its time when it
// holds what coming costs, half of it when twice as much. So a crowd that says much
// is through as soon as one that says nothing, and a probe that comes behind it on
// the same listener waits no longer.
func (g *Gate) stay(p *Place) time.Duration {
	stay := g.limits.Stay
	if p.spoke {
		stay *= answerTimes
	}
	return max(1, time.Duration(float64(stay)/max(1, p.share(0)))) // it is divided by
}

// share is how many times what coming costs a place holds, with n bytes more.
func (p *Place) share(n int) float64 { return float64(p.held+n) / float64(max(p.door.base, 1)) }
