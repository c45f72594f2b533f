package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

// Player is a connection that wants to watch, as its protocol sees it.
type Player interface {
	// Accept tells the peer to go ahead.
	Accept() error
	// Refuse tells the peer why there is nothing for it, before Accept or after:
	// ErrNoStream, ErrNobody, hub.ErrEnded, or *CarryError.
	Refuse(why error) error
	// Hear reads what the peer says until it says goodbye (nil) or is gone, and says
	// why.
	Hear() error
	// Writer returns what frames are written to. It is called once, after Accept.
	Writer(ctx context.Context) Writer
	// End has the last word: the stream is over when err is io.EOF, otherwise
	// writing failed or the peer left. Hear must return soon after.
	End(ctx context.Context, err error)
}

// Writer writes frames in a protocol's form, for one goroutine.
type Writer interface {
	// Carries returns a *CarryError when the peer cannot be sent this track.
	Carries(t *frame.Track) error
	// Announce begins the stream with these tracks.
	Announce(tracks []*frame.Track) error
	// Frame queues a frame; tracks that were not announced announce themselves.
	Frame(f *frame.Frame) error
	// Flush sends what is queued.
	Flush() error
}

// Why there is nothing to watch, besides hub.ErrEnded. May be shown to anyone.
var (
	ErrNoStream = errors.New("no stream has this playback id")
	ErrNobody   = errors.New("nobody publishes this stream now")
)

// errLeft says that the player went away by itself.
var errLeft = errors.New("player left")

// CarryError is a codec that a protocol, or this peer of it, does not take. Its
// text may be shown to anyone.
type CarryError struct {
	Codec string // for people: "AV1"
	By    string // who does not take it, for example "SRT" or "this RTMP player"
}

// Error names the codec and what plays it.
func (e *CarryError) Error() string {
	return fmt.Sprintf("the stream is %s, which %s does not take: watch it by HLS or in the player page", e.Codec, e.By)
}

// Viewer is who plays, for the operator.
type Viewer struct {
	Remote string
	Link   func() hub.Link // nil when the protocol does not know
}

// watching counts what a player is sent.
type watching struct {
	bytes  atomic.Uint64
	reader atomic.Pointer[hub.Reader]
	link   func() hub.Link
}

// stats are for the hub.
func (w *watching) stats() hub.ViewerStats {
	st := hub.ViewerStats{Bytes: w.bytes.Load()}
	if rd := w.reader.Load(); rd != nil {
		st.Dropped = rd.Dropped()
	}
	if w.link != nil {
		l := w.link()
		st.Lost, st.RTT = l.Lost, l.RTT
	}
	return st
}

// Play sends the stream with this playback id to a player. The stream need not be
// live: it is waited for as long as patience says. It returns when the player is
// gone or the stream is over; the reason is logged.
func (s *Server) Play(ctx context.Context, h *hub.Hub, id string, patience time.Duration, log *slog.Logger, who Viewer, c Player) error {
	stream := h.ByPlayback(id)
	if stream == nil {
		s.Refused()
		return c.Refuse(ErrNoStream)
	}
	log = log.With("stream", stream.ID())
	if err := c.Accept(); err != nil {
		return err
	}
	w := &watching{link: who.Link}
	leave := stream.AddViewer(hub.ViewerInfo{Protocol: s.protocol, Remote: who.Remote, Stats: w.stats})
	defer leave()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	wait := s.Aside(func() {
		left := errLeft
		defer func() { cancel(left) }()
		if gone := c.Hear(); gone != nil {
			left = fmt.Errorf("%w: %w", errLeft, gone)
		}
	})
	defer wait()
	run, err := await(ctx, stream, patience)
	if err != nil {
		if !errors.Is(err, errLeft) {
			_ = c.Refuse(err) // the peer may be gone
		}
		c.End(ctx, err)
		return err
	}
	log.Info(s.protocol + " player joined")
	rd := run.Subscribe(hub.ReaderOptions{PictureWake: true, Sound: hub.SoundAAC})
	defer rd.Close()
	w.reader.Store(rd)
	err = follow(ctx, rd, c.Writer(ctx), &w.bytes)
	if ctx.Err() != nil {
		if err = context.Cause(ctx); !errors.Is(err, errLeft) {
			err = errLeft
		}
	}
	var cannot *CarryError
	if errors.As(err, &cannot) {
		_ = c.Refuse(cannot) // the peer may be gone
	}
	log.Info(s.protocol+" player left", "reason", reason(err), "dropped", rd.Dropped())
	c.End(ctx, err)
	return err
}

// reason says why a player left.
func reason(err error) string {
	var cannot *CarryError
	switch {
	case errors.Is(err, io.EOF):
		return "the stream is over"
	case errors.Is(err, errLeft), errors.As(err, &cannot):
		return err.Error()
	}
	return "connection lost, or too slow: " + err.Error()
}

// await waits for a stream's run.
func await(ctx context.Context, stream *hub.Stream, patience time.Duration) (*hub.Run, error) {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	run, err := stream.WaitRun(waiting)
	switch {
	case ctx.Err() != nil:
		return nil, errLeft
	case errors.Is(err, hub.ErrEnded):
		return nil, err
	case err != nil:
		return nil, ErrNobody
	}
	return run, nil
}

// follow writes what a reader gives: all that is there at once, pictures with the
// sound that waited for them. It ends with io.EOF when the run is over.
func follow(ctx context.Context, rd *hub.Reader, w Writer, sent *atomic.Uint64) error {
	tracks := rd.Tracks()
	video := tracks[0]
	if err := w.Carries(video); err != nil {
		return err
	}
	if err := w.Announce(tracks); err != nil {
		return err
	}
	var frames []*frame.Frame
	var err error
	for {
		if frames, err = rd.Next(ctx, frames); err != nil {
			return err
		}
		for _, f := range frames {
			if f.IsVideo() && f.Track != video {
				if video = f.Track; w.Carries(video) != nil {
					return w.Carries(video)
				}
			}
			if err := w.Frame(f); err != nil {
				return err
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
		n := 0
		for _, f := range frames {
			n += len(f.Payload)
		}
		sent.Add(uint64(n))
	}
}
