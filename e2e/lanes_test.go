package e2e

import "testing"

// Tests run beside each other in lanes: browsers decode and paint, which takes half
// a processor each, the others mostly wait. -parallel is to be more than all tests
// together. A test whose subtests run in lanes has none itself (it calls t.Parallel
// alone): it would keep its place while it waits for them.
var (
	browsers = make(chan struct{}, 2)
	others   = make(chan struct{}, 2)
)

// parallel lets the test run beside others, in its lane.
func parallel(t *testing.T, lane chan struct{}) {
	t.Helper()
	t.Parallel()
	lane <- struct{}{}
	t.Cleanup(func() { <-lane })
}
