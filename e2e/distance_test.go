package e2e

import (
	"encoding/json"
	"testing"
)

// distanceScript runs what a page decides about its distance from live: events at
// times of one Distance, and single corrections.
const distanceScript = `
import { Distance, correct } from '../web/distance.js';
const { events, corrections } = JSON.parse(process.argv[1]);
const d = new Distance();
console.log(JSON.stringify({
	wanted: events.map(({ at, do: name, behind }) => { d[name](at, behind ?? d.wanted); return Math.round(100 * d.wanted) / 100; }),
	corrections: corrections.map((c) => { const { jump, rate } = correct({ rate: 1, held: false, reach: true, ...c }); return jump ? 'jump' : rate; }),
}));`

// A page of LL-HLS goes farther from live when nothing is left to play, unless the
// source was away or it stood nearer than it wanted; it comes nearer when all is
// well, more slowly the more often that was wrong. It plays faster or slower for
// small differences and jumps for large ones, sooner where a still is shown.
func TestDistance(t *testing.T) {
	type event struct {
		At     float64 `json:"at"`
		Do     string  `json:"do"`
		Behind float64 `json:"behind,omitempty"`
		want   float64
	}
	events := []event{
		{At: 1, Do: "rest", want: 0.8},                   // never nearer
		{At: 10, Do: "stalled", want: 1.04},              //
		{At: 11, Do: "stalled", Behind: 0.7, want: 1.04}, // not there yet
		{At: 24, Do: "rest", want: 1.04},                 //
		{At: 26, Do: "rest", want: 0.8},                  // after 15 s
		{At: 30, Do: "stalled", want: 1.04},              // too near: 30 s from now on
		{At: 50, Do: "rest", want: 1.04},                 //
		{At: 61, Do: "rest", want: 0.8},                  //
		{At: 100, Do: "stalled", want: 1.04},             // the source fell silent
		{At: 104, Do: "away", want: 0.8},                 // and is called away
		{At: 200, Do: "stalled", want: 1.04},             //
		{At: 210, Do: "away", want: 1.04},                // that was long ago
		{At: 220, Do: "stalled", want: 1.35},             //
		{At: 221, Do: "stalled", want: 1.76},             //
		{At: 222, Do: "stalled", want: 2.28},             //
		{At: 223, Do: "stalled", want: 2.97},             //
		{At: 224, Do: "stalled", want: 3.86},             //
		{At: 225, Do: "stalled", want: 4},                // and not farther
		{At: 226, Do: "stalled", want: 4},                //
	}
	type correction struct {
		Late  float64  `json:"late"`
		Held  bool     `json:"held"`
		Dry   bool     `json:"dry"`
		Reach *bool    `json:"reach,omitempty"`
		Rate  *float64 `json:"rate,omitempty"`
		want  any
	}
	corrections := []correction{
		{Late: 0.15, want: 1.0},
		{Late: 0.15, Rate: new(1.1), want: 1.1}, // goes on
		{Late: 0.04, Rate: new(1.1), want: 1.0},
		{Late: -0.3, want: 0.9},
		{Late: 0.9, want: 1.1},
		{Late: 1.1, want: "jump"},
		{Late: 1.1, Reach: new(false), want: 1.1}, // nothing is there yet
		{Late: 2.6, Reach: new(false), want: "jump"},
		{Late: 1.1, Reach: new(false), Dry: true, want: "jump"},
		{Late: 0.9, Reach: new(false), Dry: true, want: 1.1},
		{Late: 0.3, Held: true, want: "jump"},
		{Late: 0.1, Held: true, want: 1.0},
	}
	in, err := json.Marshal(map[string]any{"events": events, "corrections": corrections})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Wanted      []float64
		Corrections []any
	}
	if err := json.Unmarshal([]byte(runCommand(t, node(t), "--input-type=module", "-e", distanceScript, string(in))), &got); err != nil {
		t.Fatal(err)
	}
	for i, e := range events {
		if got.Wanted[i] != e.want {
			t.Errorf("%s at %g s: %g s behind live are wanted, want %g", e.Do, e.At, got.Wanted[i], e.want)
		}
	}
	for i, c := range corrections {
		if got.Corrections[i] != c.want {
			t.Errorf("%.2f s late, held %v: %v, want %v", c.Late, c.Held, got.Corrections[i], c.want)
		}
	}
}
