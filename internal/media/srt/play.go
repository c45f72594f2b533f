package srt

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/serve"
	"glimpse/internal/media/srt/live"
)

// play is a connection that watches.
type play struct {
	*conn
	name  string
	leave func() // waits for the goroutine that watches and gives up the program
}

var _ serve.Player = (*play)(nil)

// Accept tells the peer that it may watch.
func (c *play) Accept() error {
	passphrase := ""
	if s := c.srv.hub.ByPlayback(c.name); s != nil {
		passphrase = s.Passphrase()
	}
	return c.accept(passphrase)
}

// Refuse turns a request down; SRT cannot tell a peer that was let in.
func (c *play) Refuse(why error) error { return c.refuse(live.NotFound, why) }

// Hear waits for the peer's goodbye: a reader says nothing else that counts.
func (c *play) Hear() error {
	for {
		switch _, err := c.live.Read(); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// Writer writes a transport stream to the connection, and has an eye on it until
// ctx ends.
func (c *play) Writer(ctx context.Context) serve.Writer {
	w := &liveWriter{mediaWriter: mediaWriter{
		open: c.srv.programs.open(c.name), out: &pacer{ctx: ctx, out: c.live}, size: chunkSize(c.live.PayloadSize()),
	}}
	wait := c.srv.Aside(func() { c.watch(ctx, w.look) })
	c.leave = func() {
		wait()
		w.Close()
	}
	return w
}

// End waits until the reader has handed out the last packets and closes the connection.
func (c *play) End(ctx context.Context, err error) {
	if errors.Is(err, io.EOF) {
		c.live.Drain(ctx)
	}
	_ = c.live.Close()
}

// liveWriter writes for a network that loses what is too late: packets are given
// up in the middle of pictures. From then on it writes nothing until the next key
// frame.
type liveWriter struct {
	mediaWriter
	behind  atomic.Bool // packets were given up
	given   uint64      // so many, when look looked last
	skip    bool        // until a key frame
	skipped uint64
}

// look notices that packets are given up.
func (w *liveWriter) look(st live.Stats) {
	if st.Dropped > w.given {
		w.behind.Store(true)
	}
	w.given = st.Dropped
}

// Frame adds a frame, or skips it.
func (w *liveWriter) Frame(f *frame.Frame) error {
	if w.behind.Swap(false) {
		w.skip = true
	}
	if w.skip = w.skip && !f.Key; w.skip {
		w.skipped++
		return nil
	}
	return w.mediaWriter.Frame(f)
}

// pacer spreads a key frame, so that it does not fill the queues on its way.
type pacer struct {
	ctx  context.Context
	out  chunks
	sent int // packets since at
	at   time.Time
}

// pacerBurst packets may be written at once.
const pacerBurst = 64

// WriteChunks writes and waits.
func (p *pacer) WriteChunks(b []byte, size int) (written int, err error) {
	for len(b) > written && err == nil {
		if p.sent >= pacerBurst {
			if now := time.Now(); now.Sub(p.at) < time.Millisecond {
				serve.Wait(p.ctx, time.Millisecond)
			}
			p.sent, p.at = 0, time.Now()
		}
		part := b[written:min(len(b), written+(pacerBurst-p.sent)*size)]
		p.sent += (len(part) + size - 1) / size
		var n int
		n, err = p.out.WriteChunks(part, size)
		written += n
	}
	return written, err
}
