package srt

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"glimpse/internal/media/hub"
	"glimpse/internal/media/serve"
	"glimpse/internal/media/srt/live"
)

// conn is one request and, when it was accepted, its connection.
type conn struct {
	srv   *Server
	req   *live.Request
	place *serve.Place
	live  *live.Conn                // nil until accepted
	open  atomic.Pointer[live.Conn] // the same, for other goroutines
	log   *slog.Logger
	seen  live.Stats // that were counted already
}

// run finds out what the peer wants and does it.
func (c *conn) run(ctx context.Context) error {
	r, err := parseStreamID(c.req.StreamID())
	switch {
	case err != nil:
		c.srv.Refused()
		return c.refuse(live.BadRequest, err)
	case r.publish:
		info := hub.PublisherInfo{Protocol: "srt", Remote: c.req.RemoteAddr().String(), Link: c.link}
		return c.srv.Publish(c.srv.hub, r.name, info, c.log, &ingest{conn: c, passphrase: c.srv.hub.Passphrase(r.name)})
	}
	p := &play{conn: c, name: r.name, leave: func() {}}
	defer func() { p.leave() }()
	return c.srv.Play(ctx, c.srv.hub, r.name, c.srv.times.start, c.log, serve.Viewer{Remote: c.req.RemoteAddr().String(), Link: c.sending}, p)
}

// refuse turns the request down with a code that encoders show; a peer that was
// let in is closed without one, for SRT has no words.
func (c *conn) refuse(reason live.Reason, why error) error {
	c.log.Info("srt connection refused", "code", int(reason), "reason", why)
	if c.live == nil {
		c.req.Reject(reason)
	}
	return why
}

// accept lets the peer in, if it knows the stream's passphrase.
func (c *conn) accept(passphrase string) error {
	var err error
	if c.live, err = c.req.Accept(passphrase); err != nil {
		c.srv.Refused()
		return err
	}
	c.open.Store(c.live)
	c.place.Served()
	return nil
}

// link is what the network does with a publisher's packets.
func (c *conn) link() hub.Link {
	open := c.open.Load()
	if open == nil {
		return hub.Link{}
	}
	st := open.Stats()
	return hub.Link{Lost: st.Lost, Resent: st.Resent, RTT: st.RTT, Latency: st.ReceiveDelay}
}

// sending is what the network does with what we send.
func (c *conn) sending() hub.Link {
	open := c.open.Load()
	if open == nil {
		return hub.Link{}
	}
	st := open.Stats()
	return hub.Link{Lost: st.Dropped, Resent: st.SentAgain, RTT: st.RTT}
}

// watch counts what happens to the connection's packets until ctx ends, and then
// once more; look is called with each look.
func (c *conn) watch(ctx context.Context, look func(live.Stats)) {
	tick := time.NewTicker(c.srv.times.watch)
	defer tick.Stop()
	for on := true; on; {
		select {
		case <-ctx.Done():
			on = false
		case <-tick.C:
		}
		st, l := c.live.Stats(), &c.srv.links
		l.lost.Add(st.Lost - c.seen.Lost)
		l.resent.Add(st.Resent - c.seen.Resent)
		l.again.Add(st.SentAgain - c.seen.SentAgain)
		l.dropped.Add(st.Dropped - c.seen.Dropped)
		c.seen = st
		look(st)
	}
}

// reason says why a connection ended.
func reason(err error) string {
	switch {
	case errors.Is(err, io.EOF):
		return "closed by the peer"
	case errors.Is(err, net.ErrClosed):
		return "silent, or the server goes down"
	}
	return err.Error()
}
