package serve

import (
	"errors"
	"log/slog"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/flv"
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

// ErrTooLarge ends who publishes a picture of more than frame.MaxPicture.
var ErrTooLarge = errors.New("a picture has more than 4 MiB: lower the bit rate of the encoder")

// Intake is the part of a demuxer that knows nothing of the container: it tells
// the sink of parameters only when they change, finds them in key frames too, and
// skips what does not parse. It decides alone, without I/O; for one goroutine.
type Intake struct {
	Out Sink
	Log *slog.Logger

	name      string // of the pictures' codec
	pictures  *codec.Pictures
	video     codec.Video // that the sink was told of
	audio     codec.Audio
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

// of returns what follows the pictures of a codec, by its name.
func (in *Intake) of(name string) (*codec.Pictures, error) {
	if in.name != name {
		pictures := codec.NewPictures(name)
		if pictures == nil {
			return nil, &flv.UnsupportedError{Codec: name, Video: true}
		}
		in.name, in.pictures = name, pictures
	}
	return in.pictures, nil
}

// VideoConfig takes a decoder configuration record (avcC, hvcC, av1C) of a codec,
// by its name (package codec), for the pictures that follow. One that cannot be
// used is not the end: parameters may come in-band. Errors:
// *flv.UnsupportedError and those of the sink.
func (in *Intake) VideoConfig(name string, record []byte) error {
	pictures, err := in.of(name)
	if err != nil {
		return err
	}
	if err := pictures.Configure(record); err != nil {
		in.Log.Warn("publisher's video configuration cannot be used; waiting for one in the pictures", "error", err)
		return nil
	}
	return in.tell()
}

// tell announces new parameters of the pictures.
func (in *Intake) tell() error {
	c := in.pictures.Codec()
	if c == nil || in.video == c {
		return nil
	}
	in.video = c
	width, height := c.Size()
	in.Log.Info("video parameters", "codec", c.MIME(), "width", width, "height", height)
	return in.Out.SetTrack(&frame.Track{Codec: c})
}

// AudioConfig applies parameters of the sound that follows.
func (in *Intake) AudioConfig(c codec.Audio) error {
	if in.audio != nil && codec.Same(in.audio, c) {
		return nil
	}
	in.audio = c
	rate, channels := c.Layout()
	in.Log.Info("audio parameters", "codec", c.MIME(), "rate", rate, "channels", channels)
	return in.Out.SetTrack(&frame.Track{Codec: c})
}

// Sample hands over one access unit as FLV and MP4 have it, whose bytes are given
// away. Whatever the container calls a key frame, the bits decide: recovery
// points are marked as key frames too, and encoders forget the mark.
func (in *Intake) Sample(name string, pts, dts time.Duration, sample []byte) error {
	if in.name != name {
		return nil // before the configuration
	}
	payload, key, err := in.pictures.Unit(sample)
	return in.hand(pts, dts, payload, key, err)
}

// AnnexB is Sample for an access unit behind start codes; the bytes are copied.
func (in *Intake) AnnexB(name string, pts, dts time.Duration, unit []byte) error {
	pictures, err := in.of(name)
	if err != nil {
		return err
	}
	payload, key, err := pictures.AnnexB(unit)
	return in.hand(pts, dts, payload, key, err)
}

// Picture is Sample for an access unit of H.264 in the hub's form.
func (in *Intake) Picture(pts, dts time.Duration, payload []byte) error {
	pictures, err := in.of("H.264")
	if err != nil {
		return err
	}
	payload, key, err := pictures.Take(payload)
	return in.hand(pts, dts, payload, key, err)
}

func (in *Intake) hand(pts, dts time.Duration, payload []byte, key bool, err error) error {
	switch {
	case err != nil:
		in.Skip()
		return nil
	case payload == nil: // no parameters yet
		return nil
	}
	if err := in.tell(); err != nil {
		return err
	}
	return in.Out.Video(pts, dts, key, payload)
}

// Sound hands over one sound frame, whose bytes are given away.
func (in *Intake) Sound(pts time.Duration, payload []byte) error {
	if in.audio == nil {
		return nil
	}
	return in.Out.Audio(pts, payload)
}
