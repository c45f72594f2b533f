package main

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"glimpse/bench/load"
)

// recordings is a scenario: what it costs to record each of n streams that nobody
// watches, beside what they cost without.
func recordings(ctx context.Context, i *instance, t trial) (figures []figure, err error) {
	streams, stop, err := t.cameras(ctx, i, "rtmp", t.n)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return nil, err
	}
	time.Sleep(settled)
	without, err := i.cost(ctx, t.window(), t.n)
	if err != nil {
		return nil, err
	}
	for _, st := range streams {
		if err := i.ours.call(ctx, "POST", "/api/v1/streams/"+st.ID+"/recording", nil, &struct{}{}); err != nil {
			return nil, err
		}
	}
	time.Sleep(settled)
	with, err := i.cost(ctx, t.window(), t.n)
	if err != nil {
		return nil, err
	}
	written := 0.0
	for _, st := range streams {
		var done struct {
			Bytes    int64
			Duration float64
		}
		if err := i.ours.call(ctx, "DELETE", "/api/v1/streams/"+st.ID+"/recording", nil, &done); err != nil {
			return nil, err
		}
		written += float64(done.Bytes) * 8 / done.Duration / 1e6 / float64(t.n)
	}
	return []figure{
		{"stream", without[0].value, "ms/s each"},
		{"recording", with[0].value - without[0].value, "ms/s each"},
		{"written", written, "Mbit/s each"},
	}, nil
}

// The clips scenario: so much has been, and so long clips are made, one by one.
const (
	clipPast   = 34 * time.Second
	clipLength = 30.0
	clipsMade  = 5
)

// clips is a scenario: how soon a clip is there of a stream with n readers, half of
// them by RTMP and half by LL-HLS, and of one by WHIP whose sound nobody has had
// converted.
func clips(ctx context.Context, i *instance, t trial) (figures []figure, err error) {
	watched, err := i.newStream(ctx)
	if err != nil {
		return nil, err
	}
	alone, err := i.newStream(ctx)
	if err != nil {
		return nil, err
	}
	var publishers []*load.Publisher
	defer func() { err = errors.Join(err, stopAll(publishers)) }()
	for _, url := range []string{watched.Ingest["rtmp"], alone.Ingest["whip"]} {
		p, err := t.film.Publish(ctx, url)
		if err != nil {
			return nil, err
		}
		publishers = append(publishers, p)
	}
	time.Sleep(settled)
	reading, cancel := context.WithCancelCause(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel(nil)
	for k := range t.n {
		read, url := load.Reader(load.RTMP), watched.Play["rtmp"]
		if k%2 == 1 {
			read, url = load.HLS, watched.Play["hls"]
		}
		readers.Go(func() {
			if err := read(reading, url, func(load.Stamp) {}); err != nil {
				cancel(err)
			}
		})
	}
	select {
	case <-time.After(clipPast):
	case <-reading.Done():
		return nil, context.Cause(reading)
	}
	var took []time.Duration
	for range clipsMade {
		d, err := clipOf(ctx, i, watched)
		if err != nil {
			return nil, err
		}
		took = append(took, d)
	}
	converted, err := clipOf(ctx, i, alone)
	if err != nil {
		return nil, err
	}
	return []figure{
		{"clip_p50", quantile(took, 0.5), "ms"},
		{"clip_worst", quantile(took, 1), "ms"},
		{"clip_with_sound_to_convert", milliseconds(converted), "ms"},
	}, context.Cause(reading)
}

// clipOf makes a clip of a stream and returns how long that took.
func clipOf(ctx context.Context, i *instance, st stream) (time.Duration, error) {
	body, err := json.Marshal(map[string]float64{"last": clipLength})
	if err != nil {
		return 0, err
	}
	var made struct {
		Duration float64
		Problem  string
	}
	began := time.Now()
	err = i.ours.call(ctx, "POST", "/api/v1/streams/"+st.ID+"/clips", body, &made)
	took := time.Since(began)
	if err == nil && (made.Duration < clipLength-0.001 || made.Problem != "") {
		err = errors.New("the clip is not what was asked for: " + made.Problem)
	}
	return took, err
}
