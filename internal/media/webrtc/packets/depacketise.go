package packets

import (
	"encoding/binary"
	"errors"

	"glimpse/internal/media/frame"
)

// The errors of a Depacketiser: the picture that they come in is lost.
var (
	// ErrTooLarge says that a picture has more than frame.MaxPicture.
	ErrTooLarge = errors.New("rtp: picture of more than 4 MiB")

	errPayload  = errors.New("rtp: malformed H.264 payload")
	errFragment = errors.New("rtp: fragment without its beginning or end")
)

// Depacketiser puts access units together of RTP payloads (RFC 6184, single NAL
// units, STAP-A and FU-A; the interleaved forms are an error). The payloads of a
// picture must come in order and without a gap. The zero value is ready; for one
// goroutine.
type Depacketiser struct {
	picture  []byte // NAL units, each behind its length
	fragment int    // where the length of the unit in fragments stands, plus 1; 0 for none
}

// Push adds a payload, which is copied. After an error the picture must be given
// up with Reset.
func (d *Depacketiser) Push(payload []byte) error {
	if len(payload) == 0 {
		return nil // padding alone: a probe
	}
	if len(d.picture)+len(payload)+4 > frame.MaxPicture {
		return ErrTooLarge
	}
	kind := payload[0] & 0x1f
	if d.fragment > 0 && kind != nalFUA {
		return errFragment
	}
	switch {
	case kind >= 1 && kind < nalSTAPA:
		d.unit(payload)
	case kind == nalSTAPA:
		return d.aggregate(payload[1:])
	case kind == nalFUA:
		return d.fragmented(payload)
	default:
		return errPayload
	}
	return nil
}

func (d *Depacketiser) unit(n []byte) {
	d.picture = binary.BigEndian.AppendUint32(d.picture, uint32(len(n)))
	d.picture = append(d.picture, n...)
}

// aggregate takes the units of a STAP-A (§5.7.1).
func (d *Depacketiser) aggregate(b []byte) error {
	for len(b) > 0 {
		if len(b) < 2 {
			return errPayload
		}
		n := int(binary.BigEndian.Uint16(b))
		if b = b[2:]; n == 0 || n > len(b) {
			return errPayload
		}
		// Twice the input at most: the payload's length was checked for once.
		if len(d.picture)+n+4 > frame.MaxPicture {
			return ErrTooLarge
		}
		d.unit(b[:n])
		b = b[n:]
	}
	return nil
}

// fragmented takes a part of a unit (§5.8).
func (d *Depacketiser) fragmented(b []byte) error {
	if len(b) < 3 {
		return errPayload
	}
	start, end := b[1]&0x80 != 0, b[1]&0x40 != 0
	if start == (d.fragment > 0) || start && end {
		return errFragment
	}
	if start {
		d.fragment = len(d.picture) + 1
		d.picture = append(d.picture, 0, 0, 0, 0, b[0]&0xe0|b[1]&0x1f)
	}
	d.picture = append(d.picture, b[2:]...)
	if end {
		at := d.fragment - 1
		binary.BigEndian.PutUint32(d.picture[at:], uint32(len(d.picture)-at-4))
		d.fragment = 0
	}
	return nil
}

// Take returns the picture, in the form that frames carry, and begins the next
// one. The bytes are the caller's. It is nil when nothing came; an error says that
// the end of a unit is missing.
func (d *Depacketiser) Take() ([]byte, error) {
	if d.fragment > 0 {
		d.Reset()
		return nil, errFragment
	}
	if len(d.picture) == 0 {
		return nil, nil
	}
	p := append(make([]byte, 0, len(d.picture)), d.picture...) // it is kept for a while: no slack
	d.picture = d.picture[:0]
	return p, nil
}

// Reset gives the picture up.
func (d *Depacketiser) Reset() { d.picture, d.fragment = d.picture[:0], 0 }
