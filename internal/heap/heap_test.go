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
		"too early to say, dear":     {least, every, enough - 1, 5, 1, least, false},
		"cheap":                      {usual, every, enough, 0.001, 10, usual / 2, true},
		"long enough":                {usual, atLeast, 1, 0.001, 10, usual / 2, true},
		"a step at a time":           {usual / 2, every, enough, 0.001, 10, usual / 4, true},
		"the least":                  {least, every, enough, 0.001, 10, least, true},
		"dear":                       {least, every, enough, 0.4, 10, 2 * least, true},
		"dear, as it was":            {usual, every, enough, 0.5, 10, usual, true},
		"between: stays small":       {least, every, enough, 0.2, 10, least, true},
		"between: stays usual":       {usual, every, enough, 0.2, 10, usual, true},
		"twice what is cheap is not": {least, every, enough, 2 * cheap * 10, 10, least, true},
		"idle":                       {usual, atLeast, 2, 0.1, 0.05, usual / 2, true},
		"not idle":                   {usual / 2, atLeast, 2, 0.1, 0.15, usual, true},
		"nothing was collected":      {usual, atLeast, 0, 0, 0, usual / 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			from := account{time.Unix(1, 0), 7, 3, 100}
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

// work takes some tenths of a second.
func work() (n int) {
	for i := range 1 << 29 {
		n ^= i * i
	}
	return n | 1
}

// A server that does nothing is given a small heap, one that does nothing but collect
// a larger one, one that works and hardly collects a smaller one, and who ends leaves
// Go's own.
func TestRun(t *testing.T) {
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(usual))
	runtime.GC() // the account is drawn up when one ends: what was before does not count
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); Run(ctx) }()
		next := func(want uint64, when string) {
			time.Sleep(every)
			synctest.Wait()
			if p := percentage(); p != want {
				t.Errorf("%d %% %s, not %d", p, when, want)
			}
		}
		next(usual, "at first")
		time.Sleep(2 * atLeast)
		next(least, "when there was nothing to do")
		for _, want := range []uint64{usual / 2, usual, usual} {
			for began := spent(); spent().collecting < began.collecting+5*idle*every.Seconds(); {
				runtime.GC()
			}
			next(want, "when all was collections")
		}
		// On a busy machine a collection may seem to take long, for a while.
		for try := 0; percentage() == usual && try < 30; try++ {
			if work() == 0 {
				t.Error("there was no work")
			}
			for range enough {
				runtime.GC()
			}
			time.Sleep(every)
			synctest.Wait()
		}
		if p := percentage(); p != usual/2 {
			t.Errorf("%d %% when there was work", p)
		}
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
