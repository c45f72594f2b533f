package serve

import (
	"log/slog"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

// Sink is where media go; in servers a *hub.Publisher.
type Sink interface {
	ExpectAudio()
	SetTrack(t *frame.Track) error
	Video(pts, dts time.Duration, key bool, payload []byte) error
	Audio(pts time.Duration, payload []byte) error
}

var _ Sink = (*hub.Publisher)(nil)

// Intake is the part of a demuxer that knows nothing of the container: it tells
// the sink of parameters only when they change, finds them in key frames too, and
// skips what does not parse. It decides alone, without I/O; for one goroutine.
type Intake struct {
	Out Sink
	Log *slog.Logger

	video     *codec.H264
	audio     *codec.AAC
	malformed int
}

// HasAudio reports whether the parameters of the sound are known.
func (in *Intake) HasAudio() bool { return in.audio != nil }

// Malformed counts the units that were skipped.
func (in *Intake) Malformed() int { return in.malformed }

// Skip counts a unit that does not parse, or of which a part is missing, and says
// so once.
func (in *Intake) Skip() {
	if in.malformed++; in.malformed == 1 {
		in.Log.Warn("publisher sends media that is damaged or does not parse: skipped")
	}
}

// VideoConfig applies parameters of the pictures that follow.
func (in *Intake) VideoConfig(c *codec.H264) error {
	if in.video != nil && in.video.Equal(c) {
		return nil
	}
	in.video = c
	in.Log.Info("video parameters", "codec", c.MIME(), "width", c.Width, "height", c.Height)
	return in.Out.SetTrack(&frame.Track{Codec: c})
}

// AudioConfig applies parameters of the sound that follows.
func (in *Intake) AudioConfig(c *codec.AAC) error {
	if in.audio != nil && in.audio.Equal(c) {
		return nil
	}
	in.audio = c
	in.Log.Info("audio parameters", "codec", c.MIME(), "rate", c.SampleRate, "channels", c.Channels)
	return in.Out.SetTrack(&frame.Track{Codec: c})
}

// Picture hands over one access unit, whose bytes are given away. Whatever the
// container calls a key frame, the NAL units decide: recovery points are marked
// as key frames too, and encoders forget the mark.
func (in *Intake) Picture(pts, dts time.Duration, payload []byte) error {
	key := codec.HasIDR(payload)
	if key {
		if err := in.inBand(payload); err != nil {
			return err
		}
	}
	if in.video == nil {
		return nil
	}
	return in.Out.Video(pts, dts, key, payload)
}

// inBand looks for parameter sets in a key frame and applies new ones.
func (in *Intake) inBand(payload []byte) error {
	var sps, pps []byte
	for n := range codec.NALUs(payload) {
		switch n[0] & 0x1f {
		case codec.NALSPS:
			sps = n
		case codec.NALPPS:
			if pps == nil { // later ones are for pictures that use another
				pps = n
			}
		}
	}
	if in.video != nil {
		if sps == nil {
			sps = in.video.SPS
		}
		if pps == nil {
			pps = in.video.PPS
		}
		if in.video.Equal(&codec.H264{SPS: sps, PPS: pps}) {
			return nil
		}
	}
	c, err := codec.NewH264(sps, pps)
	if err != nil {
		return nil // as good as none
	}
	return in.VideoConfig(c)
}

// Sound hands over one sound frame, whose bytes are given away.
func (in *Intake) Sound(pts time.Duration, payload []byte) error {
	if in.audio == nil {
		return nil
	}
	return in.Out.Audio(pts, payload)
}
