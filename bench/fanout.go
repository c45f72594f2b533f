package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"glimpse/bench/load"
)

const (
	joining  = 16              // readers that come at a time
	settled  = 2 * time.Second // after the last has its first picture
	joinTime = time.Minute     // that readers have to come
)

// readers is a scenario: n readers of one stream that comes by RTMP.
func readers(protocol string, read load.Reader) func(context.Context, *instance, trial) ([]figure, error) {
	return func(ctx context.Context, i *instance, t trial) ([]figure, error) {
		st, err := i.newStream(ctx)
		if err != nil {
			return nil, err
		}
		if st.Play[protocol] == "" {
			return nil, fmt.Errorf("no URL for reading by %s", protocol)
		}
		p, err := t.film.Publish(ctx, st.Ingest["rtmp"])
		if err != nil {
			return nil, err
		}
		figures, err := t.crowd(ctx, i, st.Play[protocol], read)
		return figures, errors.Join(err, p.Stop())
	}
}

// crowd lets the readers come, and measures when all have settled.
func (t trial) crowd(ctx context.Context, i *instance, url string, read load.Reader) ([]figure, error) {
	time.Sleep(t.settle) // the stream runs
	before, err := i.memory()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	place := make(chan struct{}, joining)
	tallies := make([]*load.Tally, t.n)
	for k := range tallies {
		tallies[k] = load.NewTally()
		place <- struct{}{}
		wg.Go(func() {
			if err := read(ctx, url, tallies[k].Seen); err != nil {
				cancel(fmt.Errorf("reader %d: %w", k, err))
			}
		})
		wg.Go(func() {
			select {
			case <-tallies[k].Begun():
			case <-ctx.Done():
			}
			<-place
		})
	}
	for range joining { // all have begun
		select {
		case place <- struct{}{}:
		case <-time.After(joinTime):
			return nil, errors.New("not all readers have a picture after a minute")
		}
	}
	time.Sleep(settled)
	for _, tally := range tallies {
		tally.Start()
	}
	figures, err := i.cost(ctx, t.window(), t.n)
	if err != nil {
		return nil, context.Cause(ctx)
	}
	var all load.Result
	for _, tally := range tallies {
		r := tally.Stop()
		all.Pictures += r.Pictures
		all.Lost += r.Lost
		all.Ages = append(all.Ages, r.Ages...)
	}
	after, err := i.memory()
	if err != nil {
		return nil, err
	}
	return append(figures,
		figure{"memory_per_reader", (after - before) / 1024 / float64(t.n), "KiB"},
		figure{"latency_p50", quantile(all.Ages, 0.5), "ms"},
		figure{"latency_p99", quantile(all.Ages, 0.99), "ms"},
		figure{"pictures", float64(all.Pictures) / float64(t.n) / t.window().Seconds(), "1/s each"},
		figure{"lost", float64(all.Lost), "pictures"},
	), context.Cause(ctx)
}

// segments measures how dear it is to hand out a closed segment: n connections ask
// for it as fast as they get it.
func segments(ctx context.Context, i *instance, t trial) ([]figure, error) {
	st, err := i.newStream(ctx)
	if err != nil {
		return nil, err
	}
	p, err := t.film.Publish(ctx, st.Ingest["rtmp"])
	if err != nil {
		return nil, err
	}
	defer func() { _ = p.Stop() }()
	at, size, err := load.Segment(ctx, st.Play["hls"])
	if err != nil {
		return nil, err
	}
	limit, cancel := context.WithTimeout(ctx, t.window())
	defer cancel()
	before, err := i.cpu()
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failed error
	requests := 0
	for range t.n {
		wg.Go(func() {
			n, err := load.Fetch(limit, at)
			mu.Lock()
			defer mu.Unlock()
			requests, failed = requests+n, errors.Join(failed, err)
		})
	}
	wg.Wait()
	after, err := i.cpu()
	if err != nil || failed != nil || requests == 0 {
		return nil, errors.Join(err, failed)
	}
	megabytes := float64(requests) * float64(size) / (1 << 20)
	return []figure{
		{"cpu", milliseconds(after-before) * 1000 / float64(requests), "µs/request"},
		{"cpu_per_MiB", milliseconds(after-before) * 1000 / megabytes, "µs"},
		{"requests", float64(requests) / t.window().Seconds(), "1/s"},
	}, nil
}
