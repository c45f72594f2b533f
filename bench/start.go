package main

import (
	"context"
	"sync"
	"time"

	"glimpse/bench/load"
)

// idle is what the server costs with nothing to do.
func idle(ctx context.Context, i *instance, t trial) ([]figure, error) {
	time.Sleep(settled)
	figures, err := i.cost(ctx, t.window(), 1)
	if err != nil {
		return nil, err
	}
	return append(figures,
		figure{"startup", milliseconds(i.ready), "ms"},
		figure{"binary", float64(i.size) / (1 << 20), "MiB"}), nil
}

// protocols are those that the first picture is waited for by.
func protocols() map[string]load.Reader {
	return map[string]load.Reader{"rtmp": load.RTMP, "whep": load.WHEP, "hls": load.HLS}
}

// start measures how soon a stream is live and its first picture seen: by readers
// that wait for it, and by readers that join a running one, in the middle of a
// group of pictures. Each has a stream of its own, so that none waits for another.
func start(ctx context.Context, i *instance, _ trial) ([]figure, error) {
	var figures []figure
	for name, read := range protocols() {
		first, join, err := startOnce(ctx, i, name, read)
		if err != nil {
			return nil, err
		}
		figures = append(figures, figure{"first_picture_" + name, first, "ms"}, figure{"join_" + name, join, "ms"})
	}
	if i.ours == nil {
		return figures, nil
	}
	active, err := soonActive(ctx, i)
	return append(figures, figure{"active", active, "ms"}), err
}

func startOnce(ctx context.Context, i *instance, name string, read load.Reader) (first, join float64, err error) {
	st, err := i.newStream(ctx)
	if err != nil {
		return 0, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	film, err := load.Open(0)
	if err != nil {
		return 0, 0, err
	}
	var wg sync.WaitGroup
	var seen time.Time
	wg.Go(func() {
		if firstPicture(ctx, read, st.Play[name]) {
			seen = time.Now()
		}
	})
	time.Sleep(300 * time.Millisecond) // the reader is waiting now
	p, err := film.Publish(ctx, st.Ingest["rtmp"])
	if err != nil {
		cancel()
		wg.Wait()
		return 0, 0, err
	}
	defer func() { _ = p.Stop() }()
	wg.Wait()
	if seen.IsZero() {
		return 0, 0, errNoPicture(name)
	}
	time.Sleep(time.Until(p.Began.Add(time.Since(p.Began).Truncate(time.Second) + 1500*time.Millisecond)))
	began := time.Now()
	if !firstPicture(ctx, read, st.Play[name]) {
		return 0, 0, errNoPicture(name)
	}
	return milliseconds(seen.Sub(p.Began)), milliseconds(time.Since(began)), nil
}

// errNoPicture names the protocol by which none came.
type errNoPicture string

func (e errNoPicture) Error() string { return "no picture by " + string(e) }

// soonActive is how soon our API says that a stream is live and its playlist
// answers.
func soonActive(ctx context.Context, i *instance) (float64, error) {
	st, err := i.newStream(ctx)
	if err != nil {
		return 0, err
	}
	film, err := load.Open(0)
	if err != nil {
		return 0, err
	}
	p, err := film.Publish(ctx, st.Ingest["rtmp"])
	if err != nil {
		return 0, err
	}
	defer func() { _ = p.Stop() }()
	for now := (stream{}); now.Status != "live" && ctx.Err() == nil; {
		_ = i.ours.call(ctx, "GET", "/api/v1/streams/"+st.ID, nil, &now)
	}
	if err := load.Answers(ctx, st.Play["hls"]); err != nil {
		return 0, err
	}
	return milliseconds(time.Since(p.Began)), nil
}
