package e2e

import (
	"sync"
	"testing"
)

// Tests run beside each other in lanes: browsers decode and paint, which takes half
// a processor each, the others a seventh, and some only wait. A test whose subtests run
// in lanes has none itself (nil): it would keep its place while it waits for them.
var (
	browsers = make(chan struct{}, 2)
	others   = make(chan struct{}, 3)
	waiting  = make(chan struct{}, 1)
)

// Tests that judge by the clock come first, one after the other, with nothing beside
// them but those that wait.
var (
	judging sync.Mutex
	judged  sync.WaitGroup // those to come
)

// parallel lets the test run beside others, in its lane.
func parallel(t *testing.T, lane chan struct{}) {
	t.Helper()
	t.Parallel()
	if lane != waiting {
		judged.Wait()
	}
	if lane != nil {
		lane <- struct{}{}
		t.Cleanup(func() { <-lane })
	}
}

// alone lets the test, and its subtests, have the machine.
func alone(t *testing.T) {
	t.Helper()
	preparing(t)()
}

// preparing lets the test begin beside those that have the machine, and has it wait for
// its turn to have it where it calls judge, once. Until then it may take no more than a
// stream that nobody watches.
func preparing(t *testing.T) (judge func()) {
	t.Helper()
	judged.Add(1) // seen by all: no parallel test goes on before each one has come so far
	t.Cleanup(judged.Done)
	t.Parallel()
	return func() {
		judging.Lock()
		t.Cleanup(judging.Unlock)
	}
}
