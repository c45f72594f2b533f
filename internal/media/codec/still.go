package codec

import (
	"time"

	"glimpse/internal/media/frame"
)

// Still makes pictures that show one key frame for as long as somebody likes,
// without an encoder. Immutable; for any number of goroutines.
type Still struct {
	keys [2][]byte
	skip *skipper
}

// StillOf returns the still of a picture of codec c: a key frame, or one that
// Promotable accepts. What is not understood is shown all the same, by the same
// bytes again. The payload is kept, not copied or changed.
func StillOf(c frame.Codec, payload []byte) *Still {
	if s, ok := c.(interface{ still(payload []byte) *Still }); ok {
		return s.still(payload)
	}
	return &Still{keys: [2][]byte{payload, payload}}
}

// Promotable reports whether a picture of codec c that is no key frame can be
// shown by StillOf.
func Promotable(c frame.Codec, payload []byte) bool {
	p, ok := c.(interface{ Intra(au []byte) bool })
	return ok && p.Intra(payload)
}

// Key returns the key frame for the n-th time, n at least 0. Neighbours may
// follow each other directly, and the publisher's own key frames.
func (s *Still) Key(n int) []byte { return s.keys[n&1] }

// Skip returns a small picture that is no key frame and shows the same: the n-th
// after a key frame, n at least 1, without one left out. Nil when there is none
// for this stream: then key frames alone show it.
func (s *Still) Skip(n int) []byte {
	if s.skip == nil {
		return nil
	}
	return appendNALU(nil, s.skip.picture(n))
}

// still implements StillOf.
func (c *H264) still(payload []byte) *Still {
	s := &Still{keys: [2][]byte{payload, payload}}
	if !HasIDR(payload) {
		promoted, err := c.promote(payload)
		if err != nil {
			return s
		}
		payload = promoted
		s.keys = [2][]byte{payload, payload}
	}
	if a, b, err := c.repeatIDR(payload); err == nil {
		s.keys = [2][]byte{a, b}
	}
	sets := parameterSets{track: c, au: payload}
	for n := range NALUs(payload) {
		if n[0]&0x1f != NALIDR {
			continue
		}
		if h, err := sets.slice(n); err == nil && h.kind == sliceI {
			s.skip = newSkipper(h)
		}
		break
	}
	return s
}

// SilenceOf returns one frame of silence of a sound track, and its length. last
// is the frame before it, which may be nil. Nil when no silence is known for the
// codec or its channels.
func SilenceOf(c frame.Codec, last []byte) (payload []byte, length time.Duration) {
	switch c := c.(type) {
	case *AAC:
		return c.Silence(), c.FrameDuration()
	case *Opus:
		return c.Silence(last), 20 * time.Millisecond
	}
	return nil, 0
}
