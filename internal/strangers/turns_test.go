package strangers

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The server works for as many strangers at once as there are processors; a turn ends
// with the stranger's next wait, when it leaves, or after 10 ms. Who is known waits for
// nobody.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Limits{})
		d, n := g.Door(1), runtime.GOMAXPROCS(0)
		had := make([]*Place, n)
		for i := range had {
			had[i] = d.Enter(addr(i), nil)
			had[i].Turn()
			had[i].Turn() // it has it already
		}
		began := time.Now()
		waits := func(p *Place, end func()) time.Duration {
			var all sync.WaitGroup
			all.Go(p.Turn)
			synctest.Wait()
			end()
			all.Wait()
			return time.Since(began)
		}
		known := d.Enter(addr(98), nil)
		known.Leave()
		known.Turn()
		next := d.Enter(addr(99), nil)
		if took := waits(next, had[0].Wait); took != 0 {
			t.Errorf("the next after who waits: %v", took)
		}
		if took := waits(had[0], next.Leave); took != 0 {
			t.Errorf("the next after who left: %v", took)
		}
		if took := waits(d.Enter(addr(97), nil), func() {}); took != turnTime {
			t.Errorf("the next after who works for long: %v", took)
		}
		time.Sleep(2 * turnTime)
		if len(g.turns) != 0 {
			t.Errorf("%d turns were not given back", len(g.turns))
		}
	})
}
