package e2e

import "testing"

// Tests run beside each other in lanes: browsers decode and paint, which takes half
// a processor each, the others mostly wait. -parallel is to be more than all of
// them together.
var (
	browsers = make(chan struct{}, 2)
	others   = make(chan struct{}, 2)
	parts    = make(chan struct{}, 1) // subtests, whose test has a place in its own lane
)

// parallel lets the test run beside others, in its lane.
func parallel(t *testing.T, lane chan struct{}) {
	t.Helper()
	t.Parallel()
	lane <- struct{}{}
	t.Cleanup(func() { <-lane })
}
