package heap

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"testing/synctest"
	"time"
)

func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		percent             int
		passed              time.Duration
		collections         uint64
		collecting, working float64
		next                int
		judged              bool
	}{
		"too early to say":           {usual, every, enough - 1, 0.001, 10, usual, false},
		"too early to say, small":    {small, every, enough - 1, 5, 1, small, false},
		"often enough":               {usual, every, enough, 0.001, 10, small, true},
		"long enough":                {usual, atLeast, 1, 0.001, 10, small, true},
		"nothing was collected":      {usual, atLeast, 0, 0, 0, small, true},
		"dear":                       {small, every, enough, 0.3, 10, usual, true},
		"dear, as it was":            {usual, every, enough, 0.5, 10, usual, true},
		"between: stays small":       {small, every, enough, 0.2, 10, small, true},
		"between: stays usual":       {usual, every, enough, 0.2, 10, usual, true},
		"twice what is cheap is not": {small, every, enough, 2 * cheap * 10, 10, small, true},
	} {
		t.Run(name, func(t *testing.T) {
			from := account{at: time.Unix(1, 0), collections: 7, collecting: 3, working: 100}
			to := account{from.at.Add(c.passed), 7 + c.collections, 3 + c.collecting, 100 + c.working}
			if next, judged := judge(c.percent, from, to); next != c.next || judged != c.judged {
				t.Errorf("%d, judged %v", next, judged)
			}
		})
	}
}

// percentage is the one that the runtime goes by.
func percentage() uint64 {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// A process that works and hardly collects gets a small heap, one that does nothing
// but collect does not, and who ends leaves Go's own.
func TestRun(t *testing.T) {
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(usual))
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); Run(ctx) }()
		synctest.Wait()
		time.Sleep(atLeast + time.Second)
		synctest.Wait()
		if p := percentage(); p != small {
			t.Errorf("%d %% without collections", p)
		}
		for range 20 {
			runtime.GC()
		}
		time.Sleep(atLeast)
		synctest.Wait()
		if p := percentage(); p != usual {
			t.Errorf("%d %% when all was collections", p)
		}
		time.Sleep(atLeast)
		cancel()
		<-done
		if p := percentage(); p != usual {
			t.Errorf("%d %% afterwards", p)
		}
	})
}

// Who has set GOGC is left alone.
func TestOperatorDecides(t *testing.T) {
	t.Setenv("GOGC", "70")
	defer debug.SetGCPercent(debug.SetGCPercent(70))
	Run(t.Context()) // returns at once
	if p := percentage(); p != 70 {
		t.Errorf("%d %%", p)
	}
}
