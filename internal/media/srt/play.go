package srt

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	gosrt "github.com/datarhei/gosrt"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

// Why playing ends, besides errors of the connection.
var (
	errNoStream = errors.New("no stream has this playback id")
	errLeft     = errors.New("reader left")
	errOver     = errors.New("the stream is over")
	errNobody   = errors.New("nobody publishes this stream now")
)

// play sends a stream to the peer.
func (c *conn) play(ctx context.Context, id string) {
	stream := c.srv.hub.ByPlayback(id)
	if stream == nil {
		c.refuse(gosrt.REJX_NOTFOUND, errNoStream)
		return
	}
	c.log = c.log.With("stream", stream.ID())
	stop, err := c.accept(ctx)
	if err != nil {
		c.log.Info("srt reader not accepted", "error", err)
		return
	}
	defer stop()
	leave := stream.AddViewer("srt")
	defer leave()
	ctx, cancel := context.WithCancel(ctx)
	var hearing sync.WaitGroup
	defer hearing.Wait()
	defer func() { _ = c.sc.Close() }() // wakes the goroutine that hears
	defer cancel()
	hearing.Go(func() {
		defer c.srv.recoverPanic()
		defer cancel()
		_, _ = c.sc.ReadPacket() // a reader says nothing: this is its goodbye, or nonsense
	})
	c.log.Info("srt reader joined")
	dropped, err := c.send(ctx, stream)
	c.log.Info("srt reader left", "reason", err, "dropped", dropped)
}

// send waits for the stream's run and follows it to its end.
func (c *conn) send(ctx context.Context, stream *hub.Stream) (dropped uint64, err error) {
	waiting, cancel := context.WithTimeout(ctx, c.srv.times.start)
	run, err := stream.WaitRun(waiting)
	cancel()
	switch {
	case ctx.Err() != nil:
		return 0, errLeft
	case errors.Is(err, hub.ErrEnded):
		return 0, errOver
	case err != nil:
		return 0, errNobody
	}
	rd := run.Subscribe(hub.ReaderOptions{PictureWake: true, Sound: hub.SoundAAC})
	defer rd.Close()
	f := &follower{conn: c, w: mediaWriter{out: &pacer{ctx: ctx, out: c.sc}}}
	watching, stop := context.WithCancel(ctx)
	var looking sync.WaitGroup
	looking.Go(func() {
		defer c.srv.recoverPanic()
		c.watch(watching, 0, f.look)
	})
	err = f.follow(ctx, rd)
	stop()
	looking.Wait()
	switch {
	case ctx.Err() != nil:
		err = errLeft
	case errors.Is(err, errRunOver):
		wait(ctx, c.srv.times.linger)
		err = errOver
	}
	return rd.Dropped() + f.dropped, err
}

var errRunOver = errors.New("run over")

// follower writes what a reader of the hub gives. SRT sends in time or not at
// all: a peer whose network is too slow loses packets in the middle of pictures.
// From then on it is sent nothing until the next key frame.
type follower struct {
	conn    *conn
	w       mediaWriter
	behind  atomic.Bool // the network loses what is sent
	lost    uint64      // packets that the library gave up, as look saw last
	skip    bool        // until a key frame
	dropped uint64
}

// look notices that packets are given up, or that too many wait.
func (f *follower) look(st gosrt.Statistics) {
	if st.Accumulated.PktSendDrop > f.lost || st.Instantaneous.ByteSendBuf > maxSent {
		f.behind.Store(true)
	}
	f.lost = st.Accumulated.PktSendDrop
}

// wants reports whether a frame is sent, and counts those that are not.
func (f *follower) wants(one *frame.Frame) bool {
	if f.behind.Swap(false) {
		f.skip = true
	}
	if f.skip = f.skip && !one.Key; f.skip {
		f.dropped++
	}
	return !f.skip
}

// follow writes all that is there at once, pictures with the sound that waited
// for them.
func (f *follower) follow(ctx context.Context, rd *hub.Reader) error {
	if err := f.w.announce(rd.Tracks()); err != nil {
		return err
	}
	var frames []*frame.Frame
	var err error
	for {
		if frames, err = rd.Next(ctx, frames); err != nil {
			if errors.Is(err, io.EOF) {
				return errRunOver
			}
			return err
		}
		for _, one := range frames {
			if !f.wants(one) {
				continue
			}
			if err := f.w.frame(one); err != nil {
				return err
			}
		}
		if err := f.w.flush(); err != nil {
			return err
		}
	}
}

// pacer leaves the library time to take packets over: a queue that is full ends
// its connection.
type pacer struct {
	ctx  context.Context
	out  io.Writer
	sent int
}

// pacerBurst packets may be written at once: a quarter of the library's queue.
const pacerBurst = 256

func (p *pacer) Write(b []byte) (int, error) {
	if p.sent++; p.sent%pacerBurst == 0 {
		wait(p.ctx, 2*time.Millisecond)
	}
	return p.out.Write(b)
}
