package frames

import (
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/webrtc/packets"
)

// epoch is a stretch of a stream with one clock and one set of parameters. All but
// late is immutable.
type epoch struct {
	number        uint32
	run           *hub.Run
	publisher     uint32 // frame.Epoch
	track         *frame.Track
	width, height int           // of the source
	pts           time.Duration // of its first picture,
	at            time.Time     // and when that was captured
	late          time.Duration // of the newest picture: from its capture to us; guarded by channel.mu
}

// rtp is what WebRTC viewers see as the time of a picture.
func (e *epoch) rtp(pts time.Duration) uint32 {
	return e.run.RTPBase() + packets.Ticks(pts, packets.VideoClock)
}

// wall is when a picture at a time was captured.
func (e *epoch) wall(pts time.Duration) time.Time { return e.at.Add(pts - e.pts) }

// age is for how long a picture has been here; capture is known less well.
// channel.mu is held.
func (e *epoch) age(pts time.Duration, now time.Time) time.Duration {
	return max(0, now.Sub(e.wall(pts).Add(e.late)))
}

// keptEpochs is how many a channel remembers: results of the one before come late.
const keptEpochs = 8

// epochs counts a stream's epochs. Guarded by channel.mu.
type epochs struct {
	list []*epoch      // the newest last
	next func() uint32 // number
}

// of returns the epoch of a frame, a new one when it differs from all that are
// remembered.
func (e *epochs) of(run *hub.Run, f *frame.Frame) *epoch {
	for i := len(e.list) - 1; i >= 0; i-- {
		if x := e.list[i]; x.run == run && x.publisher == f.Epoch && x.track == f.Track {
			return x
		}
	}
	x := &epoch{number: e.next(), run: run, publisher: f.Epoch, track: f.Track, pts: f.PTS, at: f.Wall}
	if c, ok := f.Track.Codec.(codec.Video); ok {
		x.width, x.height = c.Size()
	}
	if len(e.list) == keptEpochs {
		e.list = append(e.list[:0], e.list[1:]...)
	}
	e.list = append(e.list, x)
	return x
}

// get returns a remembered epoch, the newest for 0, or nil.
func (e *epochs) get(number uint32) *epoch {
	for i := len(e.list) - 1; i >= 0; i-- {
		if x := e.list[i]; number == 0 || x.number == number {
			return x
		}
	}
	return nil
}
