package srt

import (
	"context"
	"errors"
	"io"
	"time"

	"glimpse/internal/media/hub"
	"glimpse/internal/media/serve"
	"glimpse/internal/media/srt/live"
)

// ingest is a connection that publishes.
type ingest struct {
	*conn
	passphrase string
}

var _ serve.Publisher = (*ingest)(nil)

// Accept tells the peer that it may publish.
func (c *ingest) Accept() error { return c.accept(c.passphrase) }

// Refuse turns a request down; SRT cannot tell a peer that was let in.
func (c *ingest) Refuse(why error) error {
	switch {
	case errors.Is(why, hub.ErrUnknownKey):
		return c.refuse(live.Unauthorized, why)
	case errors.Is(why, hub.ErrEnded):
		return c.refuse(live.NotFound, why)
	}
	return c.refuse(live.Conflict, why)
}

// Wake ends the reads of Ingest.
func (c *ingest) Wake() { _ = c.live.Close() }

// Reason is an error in words.
func (c *ingest) Reason(err error) string { return reason(err) }

// Ingest reads the transport stream until the peer stops, falls silent or is let
// go.
func (c *ingest) Ingest(pub *hub.Publisher) error {
	ctx, cancel := context.WithCancel(context.Background())
	var packets uint64
	last := time.Now()
	wait := c.srv.Aside(func() {
		c.watch(ctx, func(st live.Stats) {
			if st.Received != packets {
				packets, last = st.Received, time.Now()
			}
			if time.Since(last) > c.srv.times.idle {
				_ = c.live.Close()
			}
		})
	})
	defer wait()
	defer cancel()
	d := newDemuxer(serve.Intake{Out: pub, Log: c.log})
	for {
		if !c.live.Ready() {
			pub.Rest()
		}
		b, err := c.live.Read()
		switch {
		case errors.Is(err, io.EOF):
			if broken := d.end(); broken != nil {
				return broken
			}
			return err
		case err != nil:
			return err
		}
		if err := d.write(b); err != nil {
			return err
		}
	}
}
