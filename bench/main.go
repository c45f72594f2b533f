package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"glimpse/bench/load"
)

// options of a run.
type options struct {
	server  string
	peers   listFlag
	only    string
	sizes   []int
	rounds  int
	seconds int
	bitrate int
	settle  time.Duration
	table   string
	check   bool
	film    *load.Film
}

// listFlag is a flag that may be given several times.
type listFlag []string

// String implements flag.Value.
func (l *listFlag) String() string { return strings.Join(*l, ",") }

// Set implements flag.Value.
func (l *listFlag) Set(s string) error {
	*l = append(*l, s)
	return nil
}

// scenario measures one thing on servers of its own.
type scenario struct {
	name  string
	about string
	// sizes are how many readers or streams there are by default; none: it has no
	// size.
	sizes []int
	ours  bool // makes no sense with a peer
	run   func(context.Context, *instance, trial) ([]figure, error)
}

// trial is one round of a scenario.
type trial struct {
	*options
	n int
}

// window is how long is measured.
func (t trial) window() time.Duration { return time.Duration(t.seconds) * time.Second }

func scenarios() []scenario {
	return []scenario{
		{name: "idle", about: "a server with nothing to do", run: idle},
		{name: "start", about: "how soon a picture is seen: by who waits, by who joins", run: start},
		{name: "rtmp", about: "RTMP readers of one stream", sizes: []int{1, 200, 500}, run: readers("rtmp", load.RTMP)},
		{name: "whep", about: "WebRTC readers", sizes: []int{1, 50, 100}, run: readers("whep", load.WHEP)},
		{name: "hls", about: "LL-HLS clients, pictures and sound", sizes: []int{1, 100, 200}, run: readers("hls", load.HLS)},
		{name: "srt", about: "SRT readers", sizes: []int{1, 50}, run: readers("srt", load.SRT)},
		{name: "restream", about: "destinations of streams by RTMP, ten each, beside as many readers", sizes: []int{50}, ours: true, run: restream},
		{name: "record", about: "recordings of streams by RTMP that nobody watches", sizes: []int{10}, ours: true, run: recordings},
		{name: "clip", about: "clips of 30 s: of a stream with readers, and of Opus that nobody has had converted", sizes: []int{50}, ours: true, run: clips},
		{name: "segments", about: "a finished segment, fetched again and again", sizes: []int{32}, run: segments},
		{name: "rtmp-ingest", about: "streams by RTMP that nobody watches", sizes: []int{10, 50, 100}, run: ingest("rtmp")},
		{name: "srt-ingest", about: "by SRT", sizes: []int{10, 50}, run: ingest("srt")},
		{name: "whip-ingest", about: "by WHIP", sizes: []int{10}, run: ingest("whip")},
		{name: "control", about: "wearers with glasses and apps", sizes: []int{1000}, ours: true, run: control},
	}
}

func main() {
	o, err := flags()
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func flags() (*options, error) {
	o := &options{}
	flag.StringVar(&o.server, "server", "bin/glimpse", "the server's binary; empty: only the peers")
	flag.Var(&o.peers, "peer", "JSON file of a server to measure beside it; may be repeated")
	flag.StringVar(&o.only, "only", "", "scenarios to run, comma-separated (default all; see -list)")
	sizes := flag.String("sizes", "", "how many readers or streams, comma-separated (default each scenario's own)")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds of each scenario; medians are printed")
	flag.IntVar(&o.seconds, "seconds", 6, "length of each measurement")
	flag.DurationVar(&o.settle, "settle", 2*time.Second, "time that streams run before readers come, or before what they cost is measured: their windows fill for a minute")
	flag.BoolVar(&o.check, "check", false, "exit 1 when a promise is broken, by what was measured or printed")
	flag.IntVar(&o.bitrate, "bitrate", 2_500_000, "of the pictures, in bits a second")
	flag.StringVar(&o.table, "print", "", "print the table of a file of JSON lines made before, and end")
	list := flag.Bool("list", false, "list the scenarios and end")
	flag.Parse()
	if *list {
		for _, s := range scenarios() {
			fmt.Printf("%-12s %s %v\n", s.name, s.about, s.sizes)
		}
		os.Exit(0)
	}
	for _, s := range strings.FieldsFunc(*sizes, func(r rune) bool { return r == ',' }) {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-sizes: %q is not a number of readers", s)
		}
		o.sizes = append(o.sizes, n)
	}
	for _, name := range strings.FieldsFunc(o.only, func(r rune) bool { return r == ',' }) {
		if !slices.ContainsFunc(scenarios(), func(s scenario) bool { return s.name == name }) {
			return nil, fmt.Errorf("-only: there is no scenario %q (see -list)", name)
		}
	}
	var err error
	o.film, err = load.Open(o.bitrate)
	return o, err
}

func run(ctx context.Context, o *options) error {
	if o.table != "" {
		return o.printFile(os.Stdout)
	}
	targets, err := o.targets()
	if err != nil {
		return err
	}
	var all results
	var failed []error
	for _, s := range scenarios() {
		if o.only != "" && !slices.Contains(strings.Split(o.only, ","), s.name) {
			continue
		}
		sizes := s.sizes
		switch {
		case len(sizes) == 0:
			sizes = []int{0}
		case len(o.sizes) > 0 && !s.ours:
			sizes = o.sizes
		}
		for _, n := range sizes {
			r, err := o.measure(ctx, s, n, targets)
			if err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
			}
			r.write(os.Stdout)
			all = append(all, r...)
		}
		for _, t := range targets {
			known := len(all)
			all = all.perMore(s.name, t.name, sizes)
			all[known:].write(os.Stdout)
		}
	}
	all.table(os.Stderr)
	if o.check {
		failed = append(failed, all.check(os.Stderr))
	}
	return errors.Join(failed...)
}

// measure runs the rounds of a scenario, all servers in turn.
func (o *options) measure(ctx context.Context, s scenario, n int, targets []target) (results, error) {
	var all results
	for round := range o.rounds {
		for _, t := range targets {
			if s.ours && t.peer != nil || ctx.Err() != nil {
				continue
			}
			fmt.Fprintf(os.Stderr, "bench: %s %d, %s, round %d of %d\n", s.name, n, t.name, round+1, o.rounds)
			figures, err := o.once(ctx, s, n, t)
			if err != nil {
				return all, fmt.Errorf("%d, %s: %w", n, t.name, err)
			}
			all = all.add(s.name, t.name, n, figures)
		}
	}
	return all, ctx.Err()
}

// once is one round on one server.
func (o *options) once(ctx context.Context, s scenario, n int, t target) ([]figure, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	i, err := t.start(ctx)
	if err != nil {
		return nil, err
	}
	defer i.stop()
	return s.run(ctx, i, trial{options: o, n: n})
}
