package srt

import (
	"context"
	"errors"
	"io"
	"sync"

	"glimpse/internal/media/flv"
	"glimpse/internal/media/hub"
)

// publish takes the peer's media into the hub. The key is checked before the
// peer is let in.
func (c *conn) publish(ctx context.Context, key string) {
	pub, err := c.srv.hub.Publish(key, hub.PublisherInfo{Protocol: "srt", Remote: c.req.RemoteAddr().String()})
	if err != nil {
		c.refuse(refusal(err), err)
		return
	}
	defer pub.Close()
	c.log = c.log.With("stream", pub.Stream().ID())
	stop, err := c.accept(ctx)
	if err != nil {
		c.log.Info("srt publisher not accepted", "error", err)
		return
	}
	defer stop()
	c.log.Info("srt publisher connected")
	err = c.ingest(ctx, pub)
	if why := pub.Err(); why != nil {
		err = why
	}
	var unsupported *flv.UnsupportedError
	switch {
	case errors.As(err, &unsupported):
		c.log.Warn("srt publisher let go", "reason", err)
	case errors.Is(err, io.EOF):
		c.log.Info("srt publisher left", "reason", "closed by the peer, or silent")
	default:
		c.log.Info("srt publisher left", "reason", err)
	}
}

// ingest reads the transport stream until the peer stops, falls silent or is
// let go.
func (c *conn) ingest(ctx context.Context, pub *hub.Publisher) error {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() {
		defer c.srv.recoverPanic()
		c.watch(ctx, c.srv.times.idle, nil)
	})
	watching.Go(func() {
		defer c.srv.recoverPanic()
		select {
		case <-pub.Done(): // wakes the read below
			_ = c.sc.Close()
		case <-ctx.Done():
		}
	})
	d := newDemuxer(pub, c.log)
	for {
		p, err := c.sc.ReadPacket()
		if err != nil {
			return err
		}
		err = d.write(p.Data())
		p.Decommission()
		if err != nil {
			return err
		}
	}
}
