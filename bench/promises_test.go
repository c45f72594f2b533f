package main

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// one is a result of one round.
func one(target, scenario string, n int, metric string, value float64) result {
	return result{Scenario: scenario, N: n, Metric: metric, Unit: "ms", Target: target, Value: value, Rounds: []float64{value}}
}

// A broken promise is an error; so is a check of nothing.
func TestPromises(t *testing.T) {
	const us, peer = "glimpse", "other"
	for name, c := range map[string]struct {
		all  results
		want string // in the output; empty: no verdict at all
		err  error
	}{
		"kept":                        {results{one(us, "idle", 0, "startup", 149)}, "kept", nil},
		"too much":                    {results{one(us, "idle", 0, "startup", 151)}, "BROKEN", errBroken},
		"other size":                  {results{one(us, "whep", 50, "memory_per_reader", 500)}, "", nil},
		"a peer's is no matter":       {results{one(us, "idle", 0, "memory", 1), one(peer, "idle", 0, "memory", 100)}, "kept", nil},
		"a third of the cost":         {results{one(us, "rtmp", 500, "cpu", 1), one(peer, "rtmp", 500, "cpu", 3)}, "kept", nil},
		"more than a third":           {results{one(us, "rtmp", 500, "cpu", 1), one(peer, "rtmp", 500, "cpu", 2.9)}, "BROKEN", errBroken},
		"a little later":              {results{one(us, "hls", 1, "latency_p99", 12), one(peer, "hls", 1, "latency_p99", 10)}, "kept", nil},
		"too late":                    {results{one(us, "hls", 1, "latency_p99", 12.2), one(peer, "hls", 1, "latency_p99", 10)}, "BROKEN", errBroken},
		"no peer beside it":           {results{one(us, "rtmp", 500, "cpu", 1)}, "", nil},
		"collections":                 {results{one(us, "hls", 100, "worked", 700), one(us, "hls", 100, "collecting", 5.1)}, "BROKEN", errBroken},
		"collections by chance":       {results{one(us, "hls", 100, "worked", 300), one(us, "hls", 100, "collecting", 5.1)}, "", nil},
		"collections of another size": {results{one(us, "hls", 1, "worked", 700), one(us, "hls", 100, "collecting", 5.1)}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			var said strings.Builder
			err := c.all.check(&said)
			if c.want == "" {
				if err == nil || errors.Is(err, errBroken) {
					t.Errorf("%v: %s", err, said.String())
				}
				return
			}
			if !errors.Is(err, c.err) || !strings.HasPrefix(said.String(), c.want) {
				t.Errorf("%v: %s", err, said.String())
			}
		})
	}
}

// What the stream takes in both sizes falls out of what a reader more takes.
func TestPerMore(t *testing.T) {
	var all results
	for n, mib := range map[int]float64{1: 30, 100: 42, 500: 54} {
		all = all.add("rtmp", "glimpse", n, []figure{{"memory", mib, "MiB"}})
	}
	all = all.perMore("rtmp", "glimpse", []int{1, 100, 500}).perMore("rtmp", "glimpse", []int{100})
	last := all[len(all)-1]
	if last.Metric != "memory_per_more" || last.N != 500 || last.Value != 12*1024.0/400 || len(last.Rounds) != 1 {
		t.Errorf("%+v", last)
	}
	if err := all.check(io.Discard); err != nil {
		t.Error(err)
	}
}
