package frames

import (
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/webrtc/packets"
)

// epoch is a stretch of a stream with one clock and one set of parameters.
// Immutable.
type epoch struct {
	number        uint32
	run           *hub.Run
	publisher     uint32 // frame.Epoch
	track         *frame.Track
	width, height int // of the source
}

// rtp is what WebRTC viewers see as the time of a picture.
func (e *epoch) rtp(pts time.Duration) uint32 {
	return e.run.RTPBase() + packets.Ticks(pts, packets.VideoClock)
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
	x := &epoch{number: e.next(), run: run, publisher: f.Epoch, track: f.Track}
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
