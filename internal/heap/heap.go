// Package heap spends the collections that a process can spare on a smaller heap.
//
// Go collects when the heap has doubled. A server that makes media once and shares
// them collects so seldom that it is a few thousandths of its work: it may collect
// twice as often, and hold a quarter less. One for which that would cost, as with
// many publishers whom nobody watches, is left at Go's own.
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
	small = 50

	// The share of the process's CPU that collections may take: at the small
	// percentage they take twice what they take at the usual one.
	cheap, dear = 0.01, 0.025

	every   = 10 * time.Second
	enough  = 4         // collections that a judgement needs,
	atLeast = 3 * every // or that time
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

// judge says which percentage is right after what was spent between two accounts, and
// whether they were far enough apart to say.
func judge(percent int, from, to account) (next int, judged bool) {
	if to.collections-from.collections < enough && to.at.Sub(from.at) < atLeast {
		return percent, false
	}
	spent := to.collecting - from.collecting
	switch share := spent / max(spent+to.working-from.working, 1e-9); {
	case share > dear:
		return usual, true
	case share < cheap:
		return small, true
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
