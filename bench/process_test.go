package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// What a collection took is the sum of its parts; other lines are passed on.
func TestCollections(t *testing.T) {
	in := "gc 1 @0.012s 2%: 0.01+1.2+0.003 ms clock, 0.03+0.3/0.9/1.0+0.07 ms cpu, 4->4->2 MB, 4 MB goal, 0 MB stacks, 0 MB globals, 2 P\n" +
		"gc failed\n" +
		"gc 2 @1.2s 0%: 0.05+2.0+0 ms clock, 0.1+0/0/0+0 ms cpu, 8->8->2 MB, 8 MB goal, 2 P (forced)\nlistening\n"
	var g gcTrace
	var rest bytes.Buffer
	g.read(strings.NewReader(in), &rest)
	if count, spent := g.total(); count != 2 || spent.Round(10*time.Microsecond) != 2400*time.Microsecond {
		t.Errorf("%d collections took %v", count, spent)
	}
	if rest.String() != "gc failed\nlistening\n" {
		t.Errorf("rest: %q", rest.String())
	}
}

// Time that threads waited for a processor is not taken for a collection's.
func TestCollecting(t *testing.T) {
	waited := runDelay("1200345 300000000 17\n")
	if got := collecting(20*time.Millisecond, 100*time.Millisecond, waited); got != 5 {
		t.Errorf("%v %%, with %v waited", got, waited)
	}
	if got := collecting(5*time.Millisecond, 100*time.Millisecond, runDelay("")); got != 5 {
		t.Errorf("%v %% of a machine that is not busy", got)
	}
	if got := collecting(time.Millisecond, 0, 0); got != 0 {
		t.Errorf("%v %% of nothing", got)
	}
}
