package e2e

import (
	"fmt"
	"os"
	"testing"
)

// idleness begins to measure, and returns what tells which share of the machine's
// processors had nothing to do since: 0 to 1. What another machine on the same
// hardware took (steal) does not count as idle.
func idleness(t *testing.T) func() float64 {
	t.Helper()
	idle, all := ticks(t)
	return func() float64 {
		t.Helper()
		idleNow, allNow := ticks(t)
		return float64(idleNow-idle) / float64(max(allNow-all, 1))
	}
}

// ticks reads the kernel's account of the processors (proc_stat(5)).
func ticks(t *testing.T) (idle, all uint64) {
	t.Helper()
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	var n [8]uint64 // user nice system idle iowait irq softirq steal
	if _, err := fmt.Sscanf(string(stat), "cpu %d %d %d %d %d %d %d %d", &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &n[7]); err != nil {
		t.Fatal(err)
	}
	for _, v := range n {
		all += v
	}
	return n[3] + n[4], all
}
