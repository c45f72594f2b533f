package gateway

import (
	"fmt"
	"testing"
)

// One address takes a part of the places only, and nothing is kept of those who
// have left.
func TestStrangers(t *testing.T) {
	var s strangers
	var leave []func()
	fill := func(address string, want int) {
		t.Helper()
		n := 0
		for port := range maxStrangers + 1 {
			l, ok := s.enter(fmt.Sprintf("%s:%d", address, port))
			if !ok {
				break
			}
			n++
			leave = append(leave, l)
		}
		if n != want {
			t.Errorf("%s: %d places, want %d", address, n, want)
		}
	}
	fill("192.0.2.1", maxFromAddress)
	fill("[2001:db8::1]", maxFromAddress)
	fill("[2001:db8::2]", 0) // of the same /64
	fill("192.0.2.2", maxFromAddress)
	fill("192.0.2.3", maxStrangers-3*maxFromAddress)
	fill("192.0.2.4", 0)
	for _, l := range leave {
		l()
		l()
	}
	if s.all != 0 || len(s.from) != 0 {
		t.Errorf("%d strangers and %d addresses are left", s.all, len(s.from))
	}
}
