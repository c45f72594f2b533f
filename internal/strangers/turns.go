package strangers

import (
	"runtime"
	"sync"
	"time"
)

// turnTime is how long a turn lasts at most: who waits for others meanwhile, and not for
// the processor, must not keep it.
const turnTime = 10 * time.Millisecond

// turns bound how many strangers the server works for at once, to as many as there are
// processors: the handshakes of a crowd that comes at once would else stand before
// everything in the scheduler's queue, probes and those who are known among it.
// Who came first is first.
type turns chan struct{}

func newTurns() turns { return make(turns, runtime.GOMAXPROCS(0)) }

// turn is one of them; its zero value is none.
type turn struct {
	mu   sync.Mutex
	of   turns // nil: none
	over *time.Timer
	n    int // which one it is, for a timer that is late
}

// take waits for a turn, unless there is one.
func (t *turn) take(of turns) {
	t.mu.Lock()
	has := t.of != nil
	t.mu.Unlock()
	if has {
		return
	}
	of <- struct{}{}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of != nil { // another goroutine of the same stranger was faster
		<-of
		return
	}
	t.n++
	n := t.n
	t.of = of
	t.over = time.AfterFunc(turnTime, func() { t.end(n) })
}

// give gives it back. Idempotent.
func (t *turn) give() { t.end(0) }

// end ends the nth turn, or the one that is.
func (t *turn) end(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of != nil && (n == 0 || n == t.n) {
		t.over.Stop()
		<-t.of
		t.of = nil
	}
}
