// Package strangers bounds what peers make the process hold before they have said
// who they are, on all its ports together (FAULTS F24): a Gate has so many bytes,
// and each stranger's place costs what its connection needs by itself and what it
// has sent. Who finds no room makes some: at the fullest door the stranger goes who
// has been silent beyond its time, which is shorter the more it holds. So a crowd at
// one door harms nobody at another, and whoever goes on to say who they are, in few
// words, gets in through a crowd that only waits.
//
// A Gate owns no goroutines. It has one lock, under which nothing else is called;
// a Place belongs to its connection, but may be used from anywhere.
package strangers

import (
	"cmp"
	"container/list"
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Limits of a Gate, in bytes. Zero fields take the defaults.
type Limits struct {
	All  int           // of all strangers together; what they say may make it an eighth more; default 9 MiB
	Addr int           // of those of one address (IPv6: one /64), likewise; default half of All
	Each int           // of one; default 192 KiB
	Stay time.Duration // nobody who has said nothing yet goes for a newcomer sooner; others see stay; default 50 ms
}

// copies is how many bytes one byte of a stranger's may need: buffers that grow
// keep the old one until the new one is filled.
const copies = 2

// Gate counts the strangers. Make it with New; its methods may be called from
// anywhere.
type Gate struct {
	limits Limits
	turns  turns

	mu      sync.Mutex
	all     tally
	byAddr  map[netip.Prefix]*tally
	doors   []*Door
	evicted uint64
}

// tally is what some places hold, and their order.
type tally struct {
	held  int
	order *list.List // of *Place: whose last word is oldest first
}

// Stats are counts of now, and since the start.
type Stats struct {
	Places  int    // strangers who are here
	Bytes   int    // that they count for
	Evicted uint64 // who had to go for others, since the start
}

// New returns a gate without doors.
func New(l Limits) *Gate {
	l.All = cmp.Or(l.All, 9<<20)
	l.Addr = cmp.Or(l.Addr, l.All/2)
	l.Each = cmp.Or(l.Each, 192<<10)
	l.Stay = cmp.Or(l.Stay, 50*time.Millisecond)
	return &Gate{limits: l, turns: newTurns(), all: tally{order: list.New()}, byAddr: map[netip.Prefix]*tally{}}
}

// Stats returns the counts.
func (g *Gate) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Stats{Places: g.all.order.Len(), Bytes: g.all.held, Evicted: g.evicted}
}

// Door is one way in. A nil Door lets everybody in and counts nobody.
type Door struct {
	gate *Gate
	base int
	tally
}

// Door adds a way in; base is what a connection there costs before it says a word.
func (g *Gate) Door(base int) *Door {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := &Door{gate: g, base: base, tally: tally{order: list.New()}}
	g.doors = append(g.doors, d)
	return d
}

// Place is a stranger's. Methods of a nil Place do nothing.
type Place struct {
	door  *Door
	addr  netip.Prefix
	leave func()

	over  atomic.Bool // a stranger no more
	asked atomic.Bool // to go; set before over
	turn  turn

	// Guarded by Gate.mu:
	held  int
	heard time.Time        // its last word, or when it came, or when the server began to listen
	early bool             // that has not been yet, or it waits for its turn
	spoke bool             // it has said something
	in    [3]*list.Element // of all, the door's and the address's order
}

// Enter gives a stranger a place, after a moment if others have just come. leave
// is called, once and from anywhere, when it must go.
func (d *Door) Enter(from netip.Addr, leave func()) *Place {
	if d == nil {
		return nil
	}
	for {
		p, wait := d.try(from, leave, false)
		if p != nil {
			return p
		}
		time.Sleep(wait)
	}
}

// try gives a stranger a place, or says after how long it may be tried again. The
// clock of an early one runs from Wait on.
func (d *Door) try(from netip.Addr, leave func(), early bool) (*Place, time.Duration) {
	g, p := d.gate, &Place{door: d, addr: site(from), leave: leave, early: early}
	for {
		g.mu.Lock()
		short, now := g.short(p, d.base, false), time.Now()
		if short == nil {
			p.heard = now
			g.add(p)
			g.mu.Unlock()
			return p, 0
		}
		victim := g.worst(short, now)
		wait := min(g.stay(victim)-victim.silent(now), g.limits.Stay)
		if wait <= 0 {
			g.evict(victim)
		}
		g.mu.Unlock()
		if wait > 0 {
			return nil, wait
		}
		victim.leave()
	}
}

// Hold counts n more bytes that the stranger sent. False means that there is no
// room for them: the connection must end.
func (p *Place) Hold(n int) bool {
	if p == nil {
		return true
	}
	g := p.door.gate
	for n *= copies; ; {
		if p.over.Load() {
			return !p.asked.Load()
		}
		g.mu.Lock()
		if p.over.Load() {
			g.mu.Unlock()
			continue
		}
		victim := p
		if p.held+n <= g.limits.Each {
			victim = g.speaks(p, n)
		}
		if victim == nil {
			g.hear(p)
			g.count(p, n)
			p.spoke = true
			g.mu.Unlock()
			return true
		}
		g.evict(victim)
		g.mu.Unlock()
		victim.leave()
	}
}

// Turn waits until the server may work for the stranger: for as many at once as there
// are processors, for 10 ms at a time and until Wait or Leave. The clock waits too.
func (p *Place) Turn() {
	if p == nil || p.over.Load() {
		return
	}
	g := p.door.gate
	early := func(waits bool) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if !p.over.Load() {
			g.hear(p)
			p.early = waits
		}
	}
	early(true)
	p.turn.take(g.turns)
	early(false)
}

// Wait says that the server listens: its turn is over, and the clock of who was not
// heard yet begins.
func (p *Place) Wait() {
	if p == nil || p.over.Load() {
		return
	}
	p.turn.give()
	g := p.door.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if !p.over.Load() && p.early {
		g.hear(p)
	}
}

// hear makes a place's last word be now.
func (g *Gate) hear(p *Place) {
	p.heard, p.early = time.Now(), false
	for i, t := range g.tallies(p) {
		t.order.MoveToBack(p.in[i])
	}
}

// Rest gives back what was sent: it was dealt with, and the stranger may say more.
func (p *Place) Rest() {
	if p == nil || p.over.Load() {
		return
	}
	g := p.door.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if !p.over.Load() {
		g.count(p, p.door.base-p.held)
	}
}

// Leave gives the place back: whoever had it has gone or is a stranger no more.
// Idempotent.
func (p *Place) Leave() {
	if p == nil {
		return
	}
	p.turn.give()
	if p.over.Load() {
		return
	}
	g := p.door.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	g.remove(p)
}

// tallies are those that a place counts in.
func (g *Gate) tallies(p *Place) [3]*tally { return [3]*tally{&g.all, &p.door.tally, g.byAddr[p.addr]} }

func (g *Gate) add(p *Place) {
	if g.byAddr[p.addr] == nil {
		g.byAddr[p.addr] = &tally{order: list.New()}
	}
	for i, t := range g.tallies(p) {
		p.in[i] = t.order.PushBack(p)
	}
	g.count(p, p.door.base)
}

func (g *Gate) count(p *Place, n int) {
	p.held += n
	for _, t := range g.tallies(p) {
		t.held += n
	}
}

func (g *Gate) remove(p *Place) {
	if p.over.Swap(true) {
		return
	}
	g.count(p, -p.held)
	for i, t := range g.tallies(p) {
		t.order.Remove(p.in[i])
	}
	if g.byAddr[p.addr].order.Len() == 0 {
		delete(g.byAddr, p.addr)
	}
}

func (g *Gate) evict(p *Place) {
	p.asked.Store(true)
	g.evicted++
	g.remove(p)
}

// site is what counts as one address.
func site(a netip.Addr) netip.Prefix {
	a, bits := a.Unmap().WithZone(""), 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // fails for the zero Addr alone
	return p
}

// placeKey carries a place in a context.
type placeKey struct{}

// With carries a connection's place, for what it asks.
func With(ctx context.Context, c net.Conn) context.Context {
	if p := PlaceOf(c); p != nil {
		return context.WithValue(ctx, placeKey{}, p)
	}
	return ctx
}

// Known says that the peer whose context this is has said who it is.
func Known(ctx context.Context) {
	p, _ := ctx.Value(placeKey{}).(*Place)
	p.Leave()
}
