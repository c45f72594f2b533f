package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// idle is what the server costs with nothing to do.
func idle(ctx context.Context, s *server, o options) ([]figure, error) {
	figures, err := s.cost(ctx, min(o.seconds, 5), 1, "idle_server")
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(o.server)
	if err != nil {
		return nil, err
	}
	return append(figures,
		figure{Metric: "startup", Value: float64(s.ready) / float64(time.Millisecond), Unit: "ms"},
		figure{Metric: "binary", Value: float64(info.Size()) / (1 << 20), Unit: "MiB"}), nil
}

// waiting is a reader of each protocol.
func waiting() map[string]struct {
	key  string
	read reader
} {
	return map[string]struct {
		key  string
		read reader
	}{"rtmp": {"rtmp", readRTMP}, "whep": {"whep", readWHEP}, "hls": {"hls", readHLS}}
}

// start measures how soon a stream is live and its first picture seen: by
// readers that wait for it, and by readers that join a running one.
func start(ctx context.Context, s *server, o options) ([]figure, error) {
	times := map[string][]time.Duration{}
	for range o.joins {
		if err := startOnce(ctx, s, times); err != nil {
			return nil, err
		}
	}
	var figures []figure
	for _, name := range []string{"active", "first_picture_rtmp", "first_picture_whep", "first_picture_hls", "join_rtmp", "join_whep", "join_hls"} {
		figures = append(figures, figure{Metric: name, Value: quantile(times[name], 0.5), Unit: "ms", N: len(times[name])})
	}
	return figures, nil
}

func startOnce(ctx context.Context, s *server, times map[string][]time.Duration) error {
	st, err := s.newStream(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var p *publisher
	begun := make(chan struct{})
	var mu sync.Mutex
	var wg sync.WaitGroup
	note := func(name string, since func() time.Time) {
		mu.Lock()
		defer mu.Unlock()
		times[name] = append(times[name], time.Since(since()))
	}
	for name, w := range waiting() {
		wg.Go(func() {
			seen := firstPicture(ctx, w.read, st.Play[w.key])
			<-begun
			if seen {
				note("first_picture_"+name, func() time.Time { return p.first })
			}
		})
	}
	time.Sleep(300 * time.Millisecond) // the readers are waiting now
	if p, err = publish(ctx, st.Ingest["rtmp"]); err != nil {
		return err
	}
	defer p.stop()
	close(begun)
	wg.Go(func() {
		for now := (stream{}); now.Status != "live" && ctx.Err() == nil; {
			_ = s.call(ctx, "GET", "/api/v1/streams/"+st.ID, nil, &now)
		}
		if _, err := fetch(ctx, st.Play["hls"]); err == nil {
			note("active", func() time.Time { return p.first })
		}
	})
	wg.Wait()
	time.Sleep(700 * time.Millisecond) // in the middle of a group of pictures
	for name, w := range waiting() {
		began := time.Now()
		if firstPicture(ctx, w.read, st.Play[w.key]) {
			note("join_"+name, func() time.Time { return began })
		}
	}
	return ctx.Err()
}

// firstPicture reads until there is a picture.
func firstPicture(ctx context.Context, read reader, url string) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	seen := false
	_ = read(ctx, url, func(time.Duration) { seen = true; cancel() })
	return seen
}

func rtmpReaders(ctx context.Context, s *server, o options) ([]figure, error) {
	return fanOut(ctx, s, o, "rtmp", readRTMP)
}

func hlsReaders(ctx context.Context, s *server, o options) ([]figure, error) {
	return fanOut(ctx, s, o, "hls", readHLS)
}

func whepReaders(ctx context.Context, s *server, o options) ([]figure, error) {
	return fanOut(ctx, s, o, "whep", readWHEP)
}

// fanOut measures latency with one reader alone and cost with all of them.
func fanOut(ctx context.Context, s *server, o options, key string, read reader) ([]figure, error) {
	st, err := s.newStream(ctx)
	if err != nil {
		return nil, err
	}
	p, err := publish(ctx, st.Ingest["rtmp"])
	if err != nil {
		return nil, err
	}
	defer p.stop()
	alone, err := crowd(ctx, s, st.Play[key], read, 1, o.seconds)
	if err != nil {
		return nil, err
	}
	all, err := crowd(ctx, s, st.Play[key], read, o.readers, o.seconds)
	if err != nil {
		return nil, err
	}
	var figures []figure
	for _, c := range []crowdResult{alone, all} {
		figures = append(figures,
			figure{Metric: "latency_p50", Value: quantile(c.ages, 0.5), Unit: "ms", N: c.n},
			figure{Metric: "latency_p99", Value: quantile(c.ages, 0.99), Unit: "ms", N: c.n},
			figure{Metric: "pictures_per_reader", Value: float64(len(c.ages)) / float64(c.n) / float64(o.seconds), Unit: "1/s", N: c.n})
		figures = append(figures, c.cost...)
	}
	return figures, nil
}

type crowdResult struct {
	n    int
	ages []time.Duration
	cost []figure
}

// crowd runs n readers for some seconds after a warm-up.
func crowd(ctx context.Context, s *server, url string, read reader, n, seconds int) (crowdResult, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := crowdResult{n: n}
	var mu sync.Mutex
	measuring := false
	errs := make(chan error, n)
	for range n {
		go func() {
			errs <- read(ctx, url, func(age time.Duration) {
				mu.Lock()
				defer mu.Unlock()
				if measuring {
					r.ages = append(r.ages, age)
				}
			})
		}()
	}
	set := func(on bool) {
		mu.Lock()
		defer mu.Unlock()
		measuring = on
	}
	time.Sleep(3 * time.Second) // joined and caught up
	set(true)
	var err error
	r.cost, err = s.cost(ctx, seconds, n, "reader")
	set(false)
	cancel()
	for range n {
		err = errors.Join(err, <-errs)
	}
	return r, err
}

// ingest is what a published stream costs while nobody watches.
func ingest(ctx context.Context, s *server, o options) ([]figure, error) {
	for range o.streams {
		st, err := s.newStream(ctx)
		if err != nil {
			return nil, err
		}
		p, err := publish(ctx, st.Ingest["rtmp"])
		if err != nil {
			return nil, err
		}
		defer p.stop()
	}
	time.Sleep(2 * time.Second)
	return s.cost(ctx, o.seconds, o.streams, "stream")
}

// allocations runs the Go benchmarks of the frame's way and passes on what they
// say of memory.
func allocations(ctx context.Context, _ *server, _ options) ([]figure, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", ".", "-benchmem", "-benchtime", "2000x",
		"glimpse/internal/media/hub", "glimpse/internal/media/rtmp", "glimpse/internal/media/cmaf", "glimpse/internal/media/webrtc")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	line := regexp.MustCompile(`^Benchmark(\S+?)(?:-\d+)?\s.*?([\d.]+) ns/op.*?(\d+) allocs/op`)
	var figures []figure
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		if m := line.FindStringSubmatch(s.Text()); m != nil {
			ns, _ := strconv.ParseFloat(m[2], 64)
			allocs, _ := strconv.ParseFloat(m[3], 64)
			figures = append(figures, figure{Metric: m[1], Value: allocs, Unit: "allocs/op"}, figure{Metric: m[1], Value: ns, Unit: "ns/op"})
		}
	}
	return figures, nil
}
