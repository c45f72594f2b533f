package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortmplib"

	"glimpse/bench/load"
)

// sinks take RTMP publishers and throw away what comes.
type sinks struct {
	listener net.Listener
	wg       sync.WaitGroup
	taking   atomic.Int64
	bytes    atomic.Int64
}

func startSinks() (*sinks, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sinks{listener: l}
	s.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() {
				defer conn.Close()
				c := &gortmplib.ServerConn{RW: conn}
				if c.Initialize() != nil || c.AcceptConn() != nil || c.AcceptAction() != nil {
					return
				}
				s.taking.Add(1)
				buf := make([]byte, 64<<10)
				for n := 0; ; s.bytes.Add(int64(n)) {
					if n, err = conn.Read(buf); err != nil {
						return
					}
				}
			})
		}
	})
	return s, nil
}

// outputsMost is how many destinations a stream may have.
const outputsMost = 10

// restream is a scenario: streams that are sent on to n destinations by RTMP, ten
// each, beside the same number of readers by RTMP, on the same server one after the
// other. Both are what they cost more than streams with one reader each.
func restream(ctx context.Context, i *instance, t trial) (figures []figure, err error) {
	sink, err := startSinks()
	if err != nil {
		return nil, err
	}
	defer func() { // the server lets go of them first
		i.stop()
		_ = sink.listener.Close()
		sink.wg.Wait()
	}()
	streams, stop, err := t.cameras(ctx, i, "rtmp", (t.n+outputsMost-1)/outputsMost)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return nil, err
	}
	alone, err := t.readersCost(ctx, i, streams, len(streams), nil)
	if err != nil {
		return nil, err
	}
	read, err := t.readersCost(ctx, i, streams, len(streams)+t.n, nil)
	if err != nil {
		return nil, err
	}
	before := int64(0)
	sent, err := t.readersCost(ctx, i, streams, len(streams), func() error {
		defer func() { before = sink.bytes.Load() }()
		return t.sendOn(ctx, i, streams, sink)
	})
	if err != nil {
		return nil, err
	}
	n := float64(t.n)
	reader, destination := (read-alone)/n, (sent-alone)/n
	return []figure{
		{"reader", reader, "ms/s each"},
		{"destination", destination, "ms/s each"},
		{"ratio", destination / reader, "destination/reader"},
		{"taken", float64(sink.bytes.Load()-before) * 8 / (t.window() + settled).Seconds() / n / 1e6, "Mbit/s each"},
	}, nil
}

// readersCost is what the server costs with n readers by RTMP, of the streams in
// turn, in ms/s, and with what more prepares.
func (t trial) readersCost(ctx context.Context, i *instance, streams []stream, n int, more func() error) (float64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	for k := range n {
		tally := load.NewTally()
		wg.Go(func() {
			if err := load.RTMP(ctx, streams[k%len(streams)].Play["rtmp"], tally.Seen); err != nil {
				cancel(err)
			}
		})
		select {
		case <-tally.Begun():
		case <-time.After(joinTime):
			return 0, errors.New("a reader has no picture after a minute")
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	if more != nil {
		if err := more(); err != nil {
			return 0, err
		}
	}
	time.Sleep(settled)
	figures, err := i.cost(ctx, t.window(), 1)
	if err != nil {
		return 0, errors.Join(err, context.Cause(ctx))
	}
	return figures[0].value, nil
}

// sendOn adds n destinations to the streams in turn and waits until all take them.
func (t trial) sendOn(ctx context.Context, i *instance, streams []stream, sink *sinks) error {
	for k := range t.n {
		body, err := json.Marshal(map[string]string{"url": fmt.Sprintf("rtmp://%s/live/key-%d", sink.listener.Addr(), k)})
		if err != nil {
			return err
		}
		if err := i.ours.call(ctx, "POST", "/api/v1/streams/"+streams[k%len(streams)].ID+"/outputs", body, &struct{}{}); err != nil {
			return err
		}
	}
	for end := time.Now().Add(joinTime); sink.taking.Load() < int64(t.n); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("not all destinations are sent to after a minute")
		}
	}
	return nil
}
