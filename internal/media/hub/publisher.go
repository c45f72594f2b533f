package hub

import (
	"sync"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

// A first key frame that waits for announced sound holds back at most this.
const (
	maxHeld      = 128
	maxHeldBytes = 8 << 20
)

// Publisher is one connection that writes into a stream. Its methods are for
// one goroutine, except Close, Done and Err. It is pending until its first key
// frame, which makes it the stream's source and supersedes an older one.
type Publisher struct {
	stream *Stream
	info   PublisherInfo
	since  time.Time

	done chan struct{}
	once sync.Once
	err  error // why done was closed

	active bool // is or was the source; guarded by Stream.mu

	// owned by the publishing goroutine until the publisher is active
	video, audio *frame.Track
	expectAudio  bool
	keyAt        time.Time // arrival of the first key frame
	held         []unit
	heldBytes    int
	heardAt      time.Time // arrival of the first sound
	black        *black    // shown while there is sound alone
	rest         *time.Timer
}

// unit is a frame on the source's clock.
type unit struct {
	track    *frame.Track
	pts, dts time.Duration
	key      bool
	payload  []byte
	at       time.Time // of arrival
}

// ExpectAudio says that the source announced sound whose parameters have not
// come yet: the first key frame waits for them up to Config.TrackWait.
func (p *Publisher) ExpectAudio() { p.expectAudio = true }

// SetTrack announces a track or changes its parameters. New parameters apply to
// the frames that follow. It fails when the publisher is done.
func (p *Publisher) SetTrack(t *frame.Track) error {
	if err := p.Err(); err != nil {
		return err
	}
	if t.Kind() == frame.Video {
		p.video = t
	} else {
		p.audio = t
	}
	return nil
}

// Video writes a picture with times on the source's clock (unwrapped, any
// origin). The payload's bytes are handed over and must not change any more.
// Pictures before the first key frame are dropped.
func (p *Publisher) Video(pts, dts time.Duration, key bool, payload []byte) error {
	if p.video == nil {
		return ErrNoTrack
	}
	c, ok := p.video.Codec.(codec.Video)
	u := unit{track: p.video, pts: pts, dts: dts, key: key && ok && c.IsKey(payload), payload: payload}
	if p.black != nil {
		if !u.key {
			u.at = time.Now()
			return p.stream.touch(p, u)
		}
		p.black = nil
	}
	return p.write(u)
}

// Audio writes a sound frame; see Video.
func (p *Publisher) Audio(pts time.Duration, payload []byte) error {
	if p.audio == nil {
		return ErrNoTrack
	}
	if err := p.soundAlone(pts); err != nil {
		return err
	}
	return p.write(unit{track: p.audio, pts: pts, dts: pts, payload: payload})
}

func (p *Publisher) write(u unit) error {
	if err := p.Err(); err != nil {
		return err
	}
	u.at = time.Now()
	if p.keyAt.IsZero() {
		if !u.key {
			return p.stream.touch(p, u)
		}
		p.keyAt = u.at
	}
	if p.held != nil || (p.expectAudio && p.audio == nil) {
		return p.hold(u)
	}
	return p.stream.write(p, u)
}

// hold keeps the start back until announced sound came or its time is over.
func (p *Publisher) hold(u unit) error {
	p.held = append(p.held, u)
	p.heldBytes += len(u.payload)
	wait := p.stream.hub.cfg.TrackWait
	if p.audio == nil && u.at.Sub(p.keyAt) < wait && len(p.held) < maxHeld && p.heldBytes < maxHeldBytes {
		return p.stream.touch(p, u)
	}
	held := p.held
	p.held, p.expectAudio = nil, false
	for _, u := range held {
		if err := p.stream.write(p, u); err != nil {
			return err
		}
	}
	return nil
}

// Heard says that the source gave a sign of life other than a frame, such as
// RTCP: it is not silent, though its picture stands still.
func (p *Publisher) Heard() { p.stream.heard(p) }

// Stream that the publisher writes into.
func (p *Publisher) Stream() *Stream { return p.stream }

// Done is closed when the publisher may stop: superseded, refused, or the
// stream has ended. Err says which.
func (p *Publisher) Done() <-chan struct{} { return p.done }

// Err returns nil while the publisher may write, then why it may not.
func (p *Publisher) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Close disconnects. The stream is interrupted when this was its source.
// Idempotent.
func (p *Publisher) Close() {
	p.stop(ErrClosed)
	p.stream.disconnect(p)
}

func (p *Publisher) stop(err error) {
	p.once.Do(func() {
		p.err = err
		close(p.done)
	})
}
