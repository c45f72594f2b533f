package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"glimpse/bench/load"
)

// ingest is a scenario: what a published stream costs while nobody watches. That
// all of them arrive is seen afterwards.
func ingest(protocol string) func(context.Context, *instance, trial) ([]figure, error) {
	return func(ctx context.Context, i *instance, t trial) (figures []figure, err error) {
		before, err := i.memory()
		if err != nil {
			return nil, err
		}
		streams, stop, err := t.cameras(ctx, i, protocol, t.n)
		defer func() { err = errors.Join(err, stop()) }()
		if err != nil {
			return nil, err
		}
		time.Sleep(t.settle)
		// Their heap grows, and is collected once or twice in six seconds: by chance.
		if figures, err = i.cost(ctx, 3*t.window(), t.n); err != nil {
			return nil, err
		}
		after, err := i.memory()
		if err != nil {
			return nil, err
		}
		figures = append(figures, figure{"memory_per_stream", (after - before) / 1024 / float64(t.n), "KiB"})
		arrive, err := arriving(ctx, protocol, streams)
		return append(figures, figure{"arriving", arrive, "streams"}), err
	}
}

// cameras publish to n streams of their own until stop, which says what went wrong
// with any of them; call it after an error too.
func (t trial) cameras(ctx context.Context, i *instance, protocol string, n int) (streams []stream, stop func() error, err error) {
	var publishers []*load.Publisher
	stop = func() error { return stopAll(publishers) }
	for range n {
		st, err := i.newStream(ctx)
		if err != nil {
			return nil, stop, err
		}
		if st.Ingest[protocol] == "" {
			return nil, stop, fmt.Errorf("no URL for publishing by %s", protocol)
		}
		p, err := t.film.Publish(ctx, st.Ingest[protocol])
		if err != nil {
			return nil, stop, err
		}
		publishers, streams = append(publishers, p), append(streams, st)
		time.Sleep(min(time.Second/time.Duration(n), 33*time.Millisecond)) // they are not in step
	}
	return streams, stop, nil
}

// stopAll ends publishers and returns what went wrong with any before.
func stopAll(publishers []*load.Publisher) (err error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, p := range publishers {
		wg.Go(func() {
			e := p.Stop()
			mu.Lock()
			defer mu.Unlock()
			err = errors.Join(err, e)
		})
	}
	wg.Wait()
	return err
}

// arriving counts the streams that a reader gets a picture of: by WebRTC of those that
// came so, for another reader's sound would have to be converted first.
func arriving(ctx context.Context, protocol string, streams []stream) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	play, read := "rtmp", load.RTMP
	if protocol == "whip" {
		play, read = "whep", load.WHEP
	}
	var n atomic.Int64
	var group errgroup.Group
	group.SetLimit(joining)
	for _, st := range streams {
		group.Go(func() error {
			if !firstPicture(ctx, read, st.Play[play]) {
				return fmt.Errorf("stream %s of %d has no picture", st.ID, len(streams))
			}
			n.Add(1)
			return nil
		})
	}
	err := group.Wait()
	return float64(n.Load()), err
}

// firstPicture reads until there is a picture.
func firstPicture(ctx context.Context, read load.Reader, url string) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tally := load.NewTally()
	_ = read(ctx, url, func(s load.Stamp) {
		tally.Seen(s)
		cancel()
	})
	select {
	case <-tally.Begun():
		return true
	default:
		return false
	}
}
