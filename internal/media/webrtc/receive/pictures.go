package receive

import (
	"errors"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/webrtc/packets"
)

// picture is one that is complete, or broken.
type picture struct {
	at      time.Duration
	payload []byte
	broken  bool
	huge    bool // broken because it is too large
}

// pictures puts packets together to pictures: a picture ends with the packet that
// has the marker, or where another timestamp begins.
type pictures struct {
	packets.Depacketiser
	open    bool // a picture is being put together:
	ts      uint32
	at      time.Duration
	bad     bool // what is left of it is of no use
	huge    bool // because there is too much of it
	unsure  bool // the next packet may not be the first of its picture
	needKey bool // pictures are of no use before a key frame
	showing bool // a picture was handed over, the newest at this time:
	shown   time.Duration
	out     [2]picture
}

// lose says that packets are missing before the next one: the picture that is
// being put together is given up, and all up to the next key frame.
func (p *pictures) lose() {
	p.Reset()
	p.needKey, p.bad, p.unsure = true, p.open, true
}

// add takes the next packet and returns the pictures that are over with it: none,
// one, or two. They are valid until the next call.
func (p *pictures) add(in packet, at time.Duration) []picture {
	out := p.out[:0]
	if p.open && in.ts != p.ts {
		out = p.finish(out)
	}
	if !p.open {
		p.open, p.ts, p.at = true, in.ts, at
		// A slice before this one may be missing, which no decoder would notice.
		p.bad = p.unsure && !begins(in.payload)
	}
	p.unsure = false
	if !p.bad {
		if err := p.Push(in.payload); err != nil {
			p.Reset()
			p.bad, p.huge = true, errors.Is(err, packets.ErrTooLarge)
		}
	}
	if in.marker {
		out = p.finish(out)
	}
	return out
}

// begins reports whether a payload is certainly a picture's first.
func begins(b []byte) bool {
	const stapA, aud = 24, 9
	if len(b) > 3 && b[0]&0x1f == stapA {
		b = b[3:]
	}
	return len(b) > 0 && (b[0]&0x1f == codec.NALSPS || b[0]&0x1f == aud)
}

// finish ends the picture.
func (p *pictures) finish(out []picture) []picture {
	p.open = false
	bad, huge := p.bad, p.huge
	p.bad, p.huge = false, false
	payload, err := p.Take()
	switch {
	case bad || err != nil:
		p.needKey = true
		return append(out, picture{at: p.at, broken: true, huge: huge})
	case len(payload) == 0:
		return out // probes
	}
	return append(out, picture{at: p.at, payload: payload})
}
