package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// figure is what one round found.
type figure struct {
	metric string
	value  float64
	unit   string
}

// result is a metric of one server over all rounds: one line of output.
type result struct {
	Scenario string    `json:"scenario"`
	N        int       `json:"n,omitempty"` // readers or streams
	Metric   string    `json:"metric"`
	Unit     string    `json:"unit"`
	Target   string    `json:"target"`
	Value    float64   `json:"value"` // the median
	Rounds   []float64 `json:"rounds"`
}

type results []result

// add puts a round's figures behind those of the rounds before.
func (all results) add(scenario, target string, n int, figures []figure) results {
	for _, f := range figures {
		i := slices.IndexFunc(all, func(r result) bool {
			return r.Scenario == scenario && r.Target == target && r.N == n && r.Metric == f.metric
		})
		if i < 0 {
			i = len(all)
			all = append(all, result{Scenario: scenario, N: n, Metric: f.metric, Unit: f.unit, Target: target})
		}
		all[i].Rounds = append(all[i].Rounds, f.value)
		all[i].Value = median(all[i].Rounds)
	}
	return all
}

func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	if n := len(list); n%2 == 0 {
		return (list[n/2-1] + list[n/2]) / 2
	}
	return list[len(list)/2]
}

// write prints JSON lines.
func (all results) write(w io.Writer) {
	for _, r := range all {
		line, _ := json.Marshal(r)
		fmt.Fprintln(w, string(line))
	}
}

// table prints the medians, a column for each server, and how many times the
// first one's figure each other's is.
func (all results) table(w io.Writer) {
	var names []string
	for _, r := range all {
		if !slices.Contains(names, r.Target) {
			names = append(names, r.Target)
		}
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer func() { _ = tw.Flush() }()
	fmt.Fprintf(tw, "scenario\tn\tmetric\tunit\t%s\t", strings.Join(names, "\t"))
	for _, name := range names[min(1, len(names)):] {
		fmt.Fprintf(tw, "%s/%s\t", name, names[0])
	}
	fmt.Fprintln(tw)
	done := map[string]bool{}
	for _, r := range all {
		key := fmt.Sprintf("%s\t%d\t%s\t%s\t", r.Scenario, r.N, r.Metric, r.Unit)
		if done[key] {
			continue
		}
		done[key] = true
		fmt.Fprintf(tw, "%s", key)
		var values []float64
		for _, name := range names {
			i := slices.IndexFunc(all, func(o result) bool {
				return o.Target == name && o.Scenario == r.Scenario && o.N == r.N && o.Metric == r.Metric
			})
			if i < 0 {
				values = append(values, -1)
				fmt.Fprintf(tw, "-\t")
				continue
			}
			values = append(values, all[i].Value)
			fmt.Fprintf(tw, "%s\t", short(all[i].Value))
		}
		for _, v := range values[1:] {
			if v < 0 || values[0] <= 0 {
				fmt.Fprintf(tw, "\t")
				continue
			}
			fmt.Fprintf(tw, "%.2f\t", v/values[0])
		}
		fmt.Fprintln(tw)
	}
}

// short prints three digits.
func short(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// printFile prints the table of JSON lines, and with check what became of the
// promises.
func (o *options) printFile(w io.Writer) error {
	all, err := readResults(o.table)
	if err != nil {
		return err
	}
	all.table(w)
	if o.check {
		return all.check(w)
	}
	return nil
}

func readResults(path string) (results, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all results
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, r)
	}
	return all, nil
}

// quantile of durations in milliseconds; 0 when there are none.
func quantile(d []time.Duration, q float64) float64 {
	if len(d) == 0 {
		return 0
	}
	d = slices.SortedFunc(slices.Values(d), cmp.Compare[time.Duration])
	return milliseconds(d[int(q*float64(len(d)-1))])
}
