package glasses

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strings"
	"time"

	"glimpse/internal/glasses/source"
	"glimpse/internal/media/frame"
	"glimpse/protocol"
)

// Publisher is an open publishing connection.
type Publisher interface {
	// WriteFrame sends a frame, and blocks while the network is slower than
	// the frames. It is called by one goroutine.
	WriteFrame(f *frame.Frame) error
	// Close ends the publication. It may be called while WriteFrame blocks,
	// which then returns, and more than once.
	Close() error
}

// PublishFunc connects to a URL and asks to publish the tracks there, through the
// network.
type PublishFunc func(ctx context.Context, url string, tracks []*frame.Track, net *Network) (Publisher, error)

// ErrRefused is wrapped by a PublishFunc's error when the server was reached
// and does not want the stream: trying again is useless.
var ErrRefused = errors.New("the server refused the stream")

// Why a stream ended, other than by an error of its connection; those that are
// reported are in the glasses' own words (WIRE c.4).
var (
	errStopped   = errors.New("stopped")
	errReplaced  = errors.New("replaced by a new stream")
	errLimit     = errors.New("duration limit reached")
	errKeepAlive = errors.New("Stream timed out - no keep-alive from cloud")
	errCamera    = errors.New("the camera failed")
	errLost      = fmt.Errorf("Failed to reconnect after %d attempts", maxReconnects)
)

// streamSpec is what a start asks for.
type streamSpec struct {
	id, url string
	sound   bool
	limit   time.Duration // 0: none
}

// checkURL refuses what cannot be published to, in the words of the glasses.
func checkURL(target string) error {
	if target == "" {
		return errors.New("missing URL: the start names none")
	}
	u, err := url.Parse(target)
	if err != nil || u.Host == "" {
		return errors.New("Invalid URL: not an address like rtmp://host/app/key")
	}
	switch u.Scheme {
	case "rtmp", "rtmps", "srt", "https", "http":
		return nil
	}
	return fmt.Errorf("unknown URL protocol: %s (these glasses publish by rtmp, rtmps, srt and https, which is WHIP)", u.Scheme)
}

// protocolOf is the name of a target's protocol, for people.
func protocolOf(target string) string {
	switch scheme, _, _ := strings.Cut(target, ":"); scheme {
	case "srt":
		return "SRT"
	case "https", "http":
		return "WHIP"
	}
	return "RTMP"
}

// stream is one publication, from start_stream to its terminal status. Its
// goroutine is run; the other methods may be called from anywhere.
type stream struct {
	streamSpec
	source  *source.File
	publish func(context.Context, string) (Publisher, error)
	times   Times
	tell    func(protocol.GlassesStatus) // in order; may wait a little
	light   func(on bool)
	offline func() bool // the network is down now

	life   context.Context // of the glasses
	ctx    context.Context
	cancel context.CancelCauseFunc
	alive  *time.Timer   // fires when the keep-alive limit is over
	free   chan struct{} // closed when the camera is free again
}

// arm makes a stream ready to run: from now on its keep-alive limit counts.
func (s *stream) arm(ctx context.Context) {
	s.life = ctx
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	s.free = make(chan struct{})
	s.alive = time.AfterFunc(s.times.KeepAlive, func() { s.cancel(errKeepAlive) })
}

// keepAlive gives the stream another minute.
func (s *stream) keepAlive() { s.alive.Reset(s.times.KeepAlive) }

// end ends the stream for a reason; only the first one counts.
func (s *stream) end(why error) { s.cancel(why) }

// run publishes until the stream ends, and reports everything on the way. It
// waits for the former stream's camera first.
func (s *stream) run(former <-chan struct{}) {
	s.status(protocol.StatusInitializing, nil)
	if former != nil {
		<-former
	}
	err := s.broadcast()
	s.alive.Stop()
	s.cancel(err)
	close(s.free)
	switch {
	case errors.Is(err, errReplaced):
		select {
		case <-time.After(s.times.ForcedStop):
		case <-s.life.Done():
		}
		s.status(protocol.StatusStopped, nil)
	case s.life.Err() != nil, errors.Is(err, errStopped), errors.Is(err, errLimit):
		s.status(protocol.StatusStopping, nil)
		s.status(protocol.StatusStopped, nil)
	case errors.Is(err, errKeepAlive):
		s.status(protocol.StatusTimeout, err)
	case errors.Is(err, errLost):
		s.status(protocol.StatusReconnectFailed, err)
	default:
		s.status(protocol.StatusError, err)
	}
}

func (s *stream) status(status string, err error) {
	st := protocol.GlassesStatus{StreamID: s.id, Status: status}
	if err != nil {
		st.ErrorDetails = err.Error()
	}
	s.tell(st)
}

// broadcast is the whole life on the air: connections, breaks, connections. A
// stream that was never live is not tried again: a wrong address or a server
// that is not there should be known at once.
func (s *stream) broadcast() error {
	b := &broadcast{stream: s, camera: camera{player: s.source.Player(), late: s.times.Late}}
	b.limitTimer = time.AfterFunc(math.MaxInt64, func() { s.end(errLimit) })
	defer func() {
		b.limitTimer.Stop()
		if b.wasLive {
			s.light(false)
		}
	}()
	s.status(protocol.StatusConnecting, nil)
	for {
		err := b.connection()
		switch {
		case s.ctx.Err() != nil:
			return context.Cause(s.ctx)
		case errors.Is(err, ErrRefused), errors.Is(err, errCamera):
			return err
		case !b.wasLive:
			return fmt.Errorf("Network error: could not connect to %s server: %w", protocolOf(s.url), err)
		}
		if s.offline() {
			err = errNetworkDown // whatever it looked like from inside
		}
		if b.attempt++; b.attempt > maxReconnects {
			return errLost
		}
		s.tell(protocol.GlassesStatus{
			StreamID: s.id, Status: protocol.StatusReconnecting,
			Attempt: b.attempt, MaxAttempts: maxReconnects, Reason: err.Error(),
		})
		select {
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		case <-time.After(retryPause(s.times.Retry, b.attempt)):
		}
	}
}

// retryPause is the pause before the n-th reconnection, from 1.
func retryPause(first time.Duration, n int) time.Duration {
	return time.Duration(float64(first) * math.Pow(reconnectFactor, float64(n-1)))
}

// broadcast is what survives the connections of a stream.
type broadcast struct {
	*stream
	camera  camera
	meter   meter
	wasLive bool
	attempt int // reconnections since it was live

	limitTimer *time.Timer // set when the stream goes live
}

// connection publishes over one connection until that breaks.
func (b *broadcast) connection() error {
	ctx, cancel := context.WithTimeout(b.ctx, b.times.Dial)
	defer cancel()
	pub, err := b.publish(ctx, b.url)
	if err != nil {
		return err
	}
	defer func() { _ = pub.Close() }()
	defer context.AfterFunc(b.ctx, func() { _ = pub.Close() })()
	b.camera.skip = b.wasLive
	live := false
	for {
		f, err := b.camera.next(b.ctx)
		if err != nil {
			return fmt.Errorf("%w: %w", errCamera, err)
		}
		if err := pub.WriteFrame(f); err != nil {
			if f.IsVideo() {
				b.camera.dropped++
			}
			return err
		}
		now := time.Now()
		if !live && f.Key {
			live = true
			b.onLive(now)
		}
		b.meter.wrote(f)
		if live && now.Sub(b.meter.window) >= b.times.Stats {
			b.streaming(now)
		}
	}
}

// onLive reports that pictures flow, for the first time or again.
func (b *broadcast) onLive(now time.Time) {
	b.meter.start(now)
	b.attempt = 0
	if b.wasLive {
		b.status(protocol.StatusReconnected, nil)
	} else {
		b.wasLive = true
		b.light(true)
		if b.limit > 0 {
			b.limitTimer.Reset(b.limit)
		}
	}
	b.streaming(now)
}

func (b *broadcast) streaming(now time.Time) {
	b.tell(protocol.GlassesStatus{
		StreamID: b.id, Status: protocol.StatusStreaming, Stats: b.meter.take(now, b.camera.dropped),
	})
}
