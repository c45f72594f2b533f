package codec

import (
	"errors"

	"glimpse/internal/media/frame"
)

// Video is what every codec of pictures answers.
type Video interface {
	frame.Codec
	// Size of the shown picture in pixels.
	Size() (width, height int)
	// FrameRate is pictures a second as the parameters say it, 0 when they do not.
	FrameRate() float64
	// IsKey reports whether an access unit needs no other: the only pictures
	// that outputs begin and cut at.
	IsKey(payload []byte) bool
	// InBand returns an access unit that brings its parameters itself: the one
	// given when it does already. The input is not changed.
	InBand(payload []byte) []byte
}

var (
	_ Video = (*H264)(nil)
	_ Video = (*H265)(nil)
	_ Video = (*AV1)(nil)
)

// Same reports whether two codecs are one with the same parameters; nil is the
// same as nothing.
func Same(a, b frame.Codec) bool {
	switch a := a.(type) {
	case *H264:
		o, ok := b.(*H264)
		return ok && a.Equal(o)
	case *H265:
		o, ok := b.(*H265)
		return ok && a.Equal(o)
	case *AV1:
		o, ok := b.(*AV1)
		return ok && a.Equal(o)
	case *AAC:
		o, ok := b.(*AAC)
		return ok && a.Equal(o)
	case *Opus:
		o, ok := b.(*Opus)
		return ok && a.Channels == o.Channels
	}
	return false
}

// ErrMalformed is an access unit that is not one of its codec.
var ErrMalformed = errors.New("the access unit is malformed")

// form is how one codec's pictures travel.
type form interface {
	// record reads a decoder configuration record; lengths is the size of the
	// lengths that units behind it use, also when the parameters are of no use.
	record(b []byte) (c Video, lengths int, err error)
	// unit brings a sample of MP4 or FLV into the hub's form, or with lengths 0
	// one of a byte stream (Annex B); nil when it is malformed.
	unit(b []byte, lengths int) []byte
	// key is Video.IsKey.
	key(payload []byte) bool
	// update returns the parameters in a key frame, completed from those in
	// force (may be nil); nil when they say nothing new or nothing that can be used.
	update(payload []byte, now Video) Video
	// whole returns a key frame as containers want it: in MP4 an AV1 key frame
	// brings its parameters, those of others need not.
	whole(payload []byte, now Video) []byte
}

// formOf returns the form of a codec's name, nil for one that is not taken.
func formOf(name string) form {
	switch name {
	case nameH264:
		return h264Form{}
	case nameH265:
		return h265Form{}
	case nameAV1:
		return av1Form{}
	}
	return nil
}

// Pictures follows the pictures of one source in one codec: it brings them into
// the hub's form and keeps the parameters in force, whether those come in a
// record of their own or in the pictures. For one goroutine.
type Pictures struct {
	form    form
	lengths int // of the units' lengths; 0 before a record
	now     Video
}

// NewPictures begins with pictures of a codec, by its name ("H.264"); nil for a
// codec that is not taken.
func NewPictures(name string) *Pictures {
	f := formOf(name)
	if f == nil {
		return nil
	}
	return &Pictures{form: f}
}

// Codec in force: nil before there is one, another value after each change.
func (p *Pictures) Codec() Video { return p.now }

// Configure takes a decoder configuration record (avcC, hvcC, av1C), whose bytes
// are kept. One that cannot be used is no end: parameters may come in-band.
func (p *Pictures) Configure(record []byte) error {
	c, lengths, err := p.form.record(record)
	p.lengths = lengths
	if err != nil {
		return err
	}
	p.set(c)
	return nil
}

// Unit takes a sample as MP4 and FLV have it and returns the access unit in the
// hub's form, which may share the sample's bytes, and whether it is a key frame;
// new parameters in it are in force then. Nil without an error means nothing to
// use: no parameters are known yet. Errors: ErrMalformed.
func (p *Pictures) Unit(b []byte) (payload []byte, key bool, err error) {
	if p.lengths == 0 {
		return nil, false, nil
	}
	return p.Take(p.form.unit(b, p.lengths))
}

// AnnexB is Unit for an access unit behind start codes (ITU-T H.264 and H.265,
// Annex B); the bytes are copied.
func (p *Pictures) AnnexB(b []byte) (payload []byte, key bool, err error) {
	return p.Take(p.form.unit(b, 0))
}

// Take is Unit for an access unit in the hub's form; nil is a malformed one.
func (p *Pictures) Take(payload []byte) ([]byte, bool, error) {
	if payload == nil {
		return nil, false, ErrMalformed
	}
	// What a container calls a key frame may be a recovery point, and encoders
	// forget the mark: the bits decide.
	key := p.form.key(payload)
	if key {
		if c := p.form.update(payload, p.now); c != nil {
			p.set(c)
		}
	}
	if p.now == nil {
		return nil, false, nil
	}
	if key {
		payload = p.form.whole(payload, p.now)
	}
	return payload, key, nil
}

// set puts new parameters in force, and leaves equal ones alone.
func (p *Pictures) set(c Video) {
	if p.now == nil || !Same(p.now, c) {
		p.now = c
	}
}
