package rtmp

import (
	"context"
	"errors"
	"io"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

const (
	codeNotFound = "NetStream.Play.StreamNotFound"

	// playBuffer bounds what the kernel keeps for a slow player, so that the hub
	// drops for it instead of the player falling ever further behind.
	playBuffer = 512 << 10
)

// play sends a stream to the peer.
func (c *conn) play(ctx context.Context, name string, ok bool) error {
	if !ok {
		return c.refuse(codeNotFound, c.badAddress())
	}
	stream := c.srv.hub.ByPlayback(name)
	if stream == nil {
		return c.refuse(codeNotFound, "no stream has this playback id")
	}
	c.log = c.log.With("stream", stream.ID())
	if err := c.accept(); err != nil {
		return err
	}
	if err := c.nc.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	if b, ok := c.tcp.(interface{ SetWriteBuffer(int) error }); ok {
		_ = b.SetWriteBuffer(playBuffer)
	}
	ctx, cancel := context.WithCancel(ctx)
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		defer c.srv.recoverPanic()
		defer cancel()
		c.hear()
	}()
	// The peer may read to the end of what was sent: it closes when it has.
	defer func() {
		c.closeWrite()
		_ = c.nc.SetReadDeadline(time.Now().Add(c.srv.times.linger))
		<-heard
	}()
	return c.send(ctx, stream)
}

// hear reads what a player says until it says goodbye or is gone.
func (c *conn) hear() {
	d := demuxer{log: c.log}
	for {
		m, err := c.chunks.next()
		if err != nil {
			return
		}
		if (m.kind == typeCommand || m.kind == typeCommandAMF3) && d.message(m) != nil {
			return
		}
	}
}

// send waits for the stream's run and follows it to its end.
func (c *conn) send(ctx context.Context, stream *hub.Stream) error {
	leave := stream.AddViewer("rtmp")
	defer leave()
	waiting, cancel := context.WithTimeout(ctx, c.srv.times.start)
	run, err := stream.WaitRun(waiting)
	cancel()
	switch {
	case ctx.Err() != nil:
		return errLeft
	case errors.Is(err, hub.ErrEnded):
		return c.status("error", codeNotFound, "the stream has ended")
	case err != nil:
		return c.status("error", codeNotFound, "nobody publishes this stream now")
	}
	c.log.Info("rtmp player joined")
	rd := run.Subscribe(hub.ReaderOptions{PictureWake: true})
	defer rd.Close()
	err = c.follow(ctx, run, rd)
	over := errors.Is(err, io.EOF)
	if over {
		err = errOver
	}
	c.log.Info("rtmp player left", "reason", reason(err), "dropped", rd.Dropped())
	if over {
		return c.end()
	}
	return err
}

// Why playing ends, besides errors of the network.
const (
	errLeft = protocolError("player left")
	errOver = protocolError("the stream is over")
)

// follow writes what the reader gives: all that is there at once, pictures with
// the sound that waited for them.
func (c *conn) follow(ctx context.Context, run *hub.Run, rd *hub.Reader) error {
	w := newMediaWriter(c.nc, 1, c.srv.times.write)
	if err := w.announce(run.Tracks()); err != nil {
		return err
	}
	var frames []*frame.Frame
	var err error
	for {
		if frames, err = rd.Next(ctx, frames); err != nil {
			if ctx.Err() != nil {
				return errLeft
			}
			return err
		}
		for _, f := range frames {
			if err := w.frame(f); err != nil {
				return err
			}
		}
		if err := w.flush(); err != nil {
			return err
		}
	}
}

// end tells a player that the stream is over (RTMP 1.0 §7.1.7: stream EOF).
func (c *conn) end() error {
	if err := c.control(typeUserControl, []byte{0, 1, 0, 0, 0, 1}); err != nil {
		return err
	}
	if err := c.status("status", "NetStream.Play.UnpublishNotify", "the stream is over"); err != nil {
		return err
	}
	return c.status("status", "NetStream.Play.Stop", "the stream is over")
}
