package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// promise is what a figure of ours must keep to.
type promise struct {
	scenario string // empty: any
	n        int    // 0: any
	metric   string
	most     float64 // in the metric's unit; 0: no bound but the peers'
	// times is how many times ours a peer's figure must be at least: 3 says a third of
	// the cost, 1/1.2 says a fifth more at most. 0: peers do not matter.
	times float64
}

// promises are those of the project; whoever changes one says why.
func promises() []promise {
	list := []promise{
		{scenario: "idle", metric: "memory", most: 48},
		{scenario: "idle", metric: "startup", most: 150},
		{scenario: "idle", metric: "binary", most: 35},
		{scenario: "start", metric: "first_picture_rtmp", most: 150},
		{scenario: "start", metric: "first_picture_whep", most: 250},
		{scenario: "start", metric: "first_picture_hls", most: 500},
		{scenario: "start", metric: "join_rtmp", most: 150},
		{scenario: "start", metric: "join_whep", most: 150},
		{scenario: "start", metric: "join_hls", most: 150},
		{scenario: "rtmp", n: 500, metric: "cpu", times: 3},
		{scenario: "whep", n: 100, metric: "cpu", times: 4},
		{scenario: "hls", n: 100, metric: "cpu", times: 2},
		{scenario: "rtmp-ingest", n: 100, metric: "cpu", times: 3},
		{scenario: "whip-ingest", n: 10, metric: "cpu", times: 2.5},
		{scenario: "srt-ingest", n: 50, metric: "cpu", times: 2},
		{scenario: "rtmp", n: 500, metric: "memory_per_more", most: 32},
		{scenario: "whep", n: 100, metric: "memory_per_reader", most: 128},
		{scenario: "whep", n: 1000, metric: "memory_per_reader", most: 48},
		{metric: "collecting", most: 5},
	}
	for _, path := range []string{"rtmp", "whep", "hls", "srt"} {
		list = append(list, promise{scenario: path, metric: "latency_p50", times: 1 / 1.2}, promise{scenario: path, metric: "latency_p99", times: 1 / 1.2})
	}
	return list
}

// enough is the CPU time in ms below which a round says nothing of collections: that
// one of some milliseconds falls into it, or none, is chance.
const enough = 500

// errBroken says that a promise was not kept.
var errBroken = errors.New("not all promises are kept")

// check prints what became of each promise that the results tell of, for the first
// server. Its error is errBroken, or that they tell of none.
func (all results) check(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer func() { _ = tw.Flush() }()
	told, broken := 0, false
	for _, p := range promises() {
		for _, r := range all {
			if r.Target != all[0].Target || r.Metric != p.metric || p.scenario != "" && p.scenario != r.Scenario || p.n != 0 && p.n != r.N {
				continue
			}
			if p.metric == "collecting" && !all.busy(r) {
				continue
			}
			for _, line := range all.judge(p, r) {
				told++
				verdict := "kept"
				if !line.kept {
					verdict, broken = "BROKEN", true
				}
				fmt.Fprintf(tw, "%s\t%s %d\t%s\t%s\n", verdict, r.Scenario, r.N, r.Metric, line.says)
			}
		}
	}
	switch {
	case told == 0:
		return errors.New("no promise is about what was measured")
	case broken:
		return errBroken
	}
	return nil
}

// verdict on one promise.
type verdict struct {
	kept bool
	says string
}

// judge says whether a figure keeps a promise: by itself, and beside each peer's.
func (all results) judge(p promise, r result) (list []verdict) {
	if p.most > 0 {
		list = append(list, verdict{r.Value <= p.most, fmt.Sprintf("%s of %s %s at most", short(r.Value), short(p.most), r.Unit)})
	}
	for _, o := range all {
		if p.times > 0 && o.Target != r.Target && o.Scenario == r.Scenario && o.N == r.N && o.Metric == r.Metric && o.Value > 0 {
			list = append(list, verdict{r.Value*p.times <= o.Value, fmt.Sprintf("%s has %.2f times ours, %.2f at least", o.Target, o.Value/r.Value, p.times)})
		}
	}
	return list
}

// busy reports whether the process worked enough for its collections to mean
// something.
func (all results) busy(r result) bool {
	return slices.ContainsFunc(all, func(o result) bool {
		return o.Target == r.Target && o.Scenario == r.Scenario && o.N == r.N && o.Metric == "worked" && o.Value >= enough
	})
}

// perMore adds what a reader more takes: between the last two sizes of a scenario,
// the stream's own memory, which grows meanwhile, falls out.
func (all results) perMore(scenario, target string, sizes []int) results {
	if len(sizes) < 2 {
		return all
	}
	few, many := sizes[len(sizes)-2], sizes[len(sizes)-1]
	memory := func(n int) []float64 {
		i := slices.IndexFunc(all, func(r result) bool {
			return r.Scenario == scenario && r.Target == target && r.N == n && r.Metric == "memory"
		})
		if i < 0 {
			return nil
		}
		return all[i].Rounds
	}
	a, b := memory(few), memory(many)
	for k := range min(len(a), len(b)) {
		all = all.add(scenario, target, many, []figure{{"memory_per_more", (b[k] - a[k]) * 1024 / float64(many-few), "KiB"}})
	}
	return all
}
