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

// restream is a scenario: a stream that is sent on to n destinations by RTMP. A
// reader by RTMP is what to compare it with.
func restream(ctx context.Context, i *instance, t trial) (figures []figure, err error) {
	sink, err := startSinks()
	if err != nil {
		return nil, err
	}
	st, err := i.newStream(ctx)
	if err != nil {
		return nil, err
	}
	for k := range t.n {
		body, err := json.Marshal(map[string]string{"url": fmt.Sprintf("rtmp://%s/live/key-%d", sink.listener.Addr(), k)})
		if err != nil {
			return nil, err
		}
		if err := i.ours.call(ctx, "POST", "/api/v1/streams/"+st.ID+"/outputs", body, &struct{}{}); err != nil {
			return nil, err
		}
	}
	p, err := t.film.Publish(ctx, st.Ingest["rtmp"])
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(joinTime); sink.taking.Load() < int64(t.n); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			return nil, errors.Join(errors.New("not all destinations are sent to after a minute"), p.Stop())
		}
	}
	time.Sleep(settled)
	before := sink.bytes.Load()
	figures, err = i.cost(ctx, t.window(), t.n)
	taken := float64(sink.bytes.Load()-before) * 8 / t.window().Seconds() / float64(t.n) / 1e6
	err = errors.Join(err, p.Stop())
	i.stop()
	_ = sink.listener.Close()
	sink.wg.Wait()
	return append(figures, figure{"taken", taken, "Mbit/s each"}), err
}
