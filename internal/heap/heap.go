// Package heap spends the collections that a process can spare on a smaller heap.
//
// Go collects when the heap has doubled. A server that makes media once and shares
// them collects so seldom that it is a few thousandths of its work: it may collect
// four times as often, and hold a third less. So may one that does hardly anything:
// it has a small heap when a crowd comes, and the garbage of their coming does not make
// it large. One for which it costs, as with many publishers whom nobody watches, is
// left at Go's own percentage, or given it back, by steps. Never more: strangers who
// make garbage would be given memory for it.
//
// Run owns the process's GC percentage while it runs; there are no locks.
package heap

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	usual = 100 // Go's percentage, with which every process begins
	least = 25  // below it little is left to gain

	// The share of the process's CPU that collections may take. Half the percentage
	// takes twice as much, so what is cheap is not dear after one step.
	cheap, dear = 0.01, 0.03

	idle = 0.01 // of a processor: what that is spent on does not matter

	every   = 2 * time.Second
	enough  = 3                // collections that a judgement needs,
	atLeast = 20 * time.Second // or that time
)

// Run chooses the percentage until ctx ends, and then sets back Go's own. It leaves
// all to an operator who has set GOGC. Call it once in a process.
func Run(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	defer debug.SetGCPercent(usual)
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	percent, since := usual, spent()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		now := spent()
		next, judged := judge(percent, since, now)
		if next != percent {
			debug.SetGCPercent(next)
		}
		if percent = next; judged {
			since = now
		}
	}
}

// account is what the process has spent since it began.
type account struct {
	at          time.Time
	collections uint64
	collecting  float64 // CPU seconds, those on processors that had nothing else to do included
	working     float64 // of everything else
}

// judge says which percentage is right after what was spent between two accounts, a
// step from this one at most, and whether that was enough to say.
func judge(percent int, from, to account) (next int, judged bool) {
	passed := to.at.Sub(from.at)
	if to.collections-from.collections < enough && passed < atLeast {
		return percent, false
	}
	spent := to.collecting - from.collecting
	all := spent + to.working - from.working
	switch {
	case all < idle*passed.Seconds(), spent < cheap*all:
		return max(percent/2, least), true
	case spent > dear*all:
		return min(2*percent, usual), true
	}
	return percent, true
}

// spent reads the runtime's account.
func spent() account {
	samples := []metrics.Sample{
		{Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/cpu/classes/gc/total:cpu-seconds"},
		{Name: "/cpu/classes/user:cpu-seconds"},
	}
	metrics.Read(samples)
	return account{
		at:          time.Now(),
		collections: samples[0].Value.Uint64(),
		collecting:  samples[1].Value.Float64(),
		working:     samples[2].Value.Float64(),
	}
}
