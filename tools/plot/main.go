// Command plot draws the scale curves of JSON lines that the benchmark wrote: what
// a reader costs by how many there are, and what a stream costs. It writes
// cost-readers.svg and cost-streams.svg.
//
//	go run ./bench -only rtmp,whep,hls -sizes 10,100,500,1000 > curves.jsonl
//	go run ./tools/plot -o docs curves.jsonl
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// point is how much one of n costs.
type point struct {
	n     int
	value float64
}

// line of the benchmark's output, as far as it matters.
type line struct {
	Scenario string  `json:"scenario"`
	N        int     `json:"n"`
	Metric   string  `json:"metric"`
	Target   string  `json:"target"`
	Value    float64 `json:"value"`
}

func main() {
	out := flag.String("o", ".", "folder to write to")
	flag.Parse()
	curves := map[string][]point{}
	for _, name := range flag.Args() {
		if err := read(name, curves); err != nil {
			fail(err)
		}
	}
	readers, streams := map[string][]point{}, map[string][]point{}
	for name, points := range curves {
		slices.SortFunc(points, func(a, b point) int { return a.n - b.n })
		if base, ok := strings.CutSuffix(name, "-ingest"); ok {
			streams[base] = points
		} else {
			readers[name] = points
		}
	}
	for _, p := range []struct {
		file, title, axis string
		curves            map[string][]point
	}{
		{"cost-readers.svg", "CPU a reader (ms/s)", "readers of one stream", readers},
		{"cost-streams.svg", "CPU a stream that nobody watches (ms/s)", "streams", streams},
	} {
		if len(p.curves) == 0 {
			continue
		}
		if err := os.WriteFile(filepath.Join(*out, p.file), draw(p.title, p.axis, p.curves), 0o644); err != nil {
			fail(err)
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "plot:", err)
	os.Exit(1)
}

// read collects the CPU figures of our server.
func read(name string, curves map[string][]point) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if l.Metric == "cpu" && l.Target == "glimpse" && l.N > 0 && l.Scenario != "segments" && l.Scenario != "control" {
			curves[l.Scenario] = append(curves[l.Scenario], point{l.N, l.Value})
		}
	}
	return nil
}
