package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
)

// options of a run.
type options struct {
	server  string
	readers int
	streams int
	seconds int
	joins   int
}

// figure is one line of output.
type figure struct {
	Scenario string  `json:"scenario"`
	Metric   string  `json:"metric"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
	N        int     `json:"n,omitempty"` // how many readers, streams or samples
}

// scenario measures one thing on a server of its own.
type scenario struct {
	name string
	run  func(context.Context, *server, options) ([]figure, error)
}

func scenarios() []scenario {
	return []scenario{
		{"idle", idle},
		{"start", start},
		{"rtmp", rtmpReaders},
		{"hls", hlsReaders},
		{"whep", whepReaders},
		{"ingest", ingest},
		{"allocations", allocations},
		{"control", control},
	}
}

func main() {
	var o options
	flag.StringVar(&o.server, "server", "bin/glimpse", "the server's binary")
	flag.IntVar(&o.readers, "readers", 50, "readers of the fan-out scenarios")
	flag.IntVar(&o.streams, "streams", 10, "publishers of the ingest scenario")
	flag.IntVar(&o.seconds, "seconds", 10, "length of each measurement")
	flag.IntVar(&o.joins, "joins", 5, "repetitions of start and join; medians are printed")
	only := flag.String("only", "", "scenarios to run, comma-separated (default all)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	failed := false
	for _, s := range scenarios() {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), s.name) {
			continue
		}
		if err := measure(ctx, s, o); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s: %v\n", s.name, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

func measure(ctx context.Context, s scenario, o options) error {
	fmt.Fprintf(os.Stderr, "bench: %s …\n", s.name)
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	srv, err := launch(ctx, o.server)
	if err != nil {
		return err
	}
	defer srv.stop()
	figures, err := s.run(ctx, srv, o)
	for _, f := range figures {
		f.Scenario = s.name
		line, _ := json.Marshal(f)
		fmt.Println(string(line))
	}
	return err
}

// quantile of durations in milliseconds; 0 when there are none.
func quantile(d []time.Duration, q float64) float64 {
	if len(d) == 0 {
		return 0
	}
	d = slices.Clone(d)
	slices.Sort(d)
	return float64(d[int(q*float64(len(d)-1))]) / float64(time.Millisecond)
}
