package codec

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"

	"glimpse/internal/media/frame"
)

// The OBU types that are looked at (AV1 §6.2.2).
const (
	obuSequence  = 1
	obuDelimiter = 2
	obuHeader    = 3
	obuFrame     = 6
	obuTileList  = 8
	obuPadding   = 15
)

// AV1 is a track's sequence header and what it says. Make it with NewAV1.
type AV1 struct {
	Sequence []byte // the sequence header OBU, with its size field
	header   av1.SequenceHeader
}

// NewAV1 parses a sequence header OBU that has a size field and keeps it (not
// copied).
func NewAV1(sequence []byte) (*AV1, error) {
	obu, rest, ok := nextOBU(sequence)
	if !ok || len(rest) > 0 || obu.kind != obuSequence {
		return nil, errors.New("av1: no sequence header")
	}
	c := &AV1{Sequence: sequence}
	if err := c.header.Unmarshal(c.bare(obu)); err != nil {
		return nil, fmt.Errorf("av1: sequence header: %w", err)
	}
	if len(c.header.SeqLevelIdx) == 0 || len(c.header.SeqTier) == 0 {
		return nil, errors.New("av1: sequence header without an operating point")
	}
	if width, height := c.Size(); width > maxDimension || height > maxDimension {
		return nil, fmt.Errorf("av1: picture of %dx%d pixels; at most %d each way", width, height, maxDimension)
	}
	return c, nil
}

// bare is an OBU without its size field, as the library wants it.
func (c *AV1) bare(o obu) []byte {
	return append([]byte{o.whole[0] &^ 2}, o.body...)
}

// Kind is frame.Video.
func (c *AV1) Kind() frame.Kind { return frame.Video }

// Name is "AV1".
func (c *AV1) Name() string { return nameAV1 }

// Size of the picture in pixels.
func (c *AV1) Size() (width, height int) { return c.header.Width(), c.header.Height() }

// FrameRate is 0: encoders rarely say it.
func (c *AV1) FrameRate() float64 { return 0 }

// IsKey reports whether the temporal unit's first frame is a key frame that is
// shown.
func (c *AV1) IsKey(payload []byte) bool { return av1Form{}.key(payload) }

// Equal reports whether both have the same sequence header.
func (c *AV1) Equal(o *AV1) bool { return bytes.Equal(c.Sequence, o.Sequence) }

// depth of a sample in bits (AV1 §5.5.2).
func (c *AV1) depth() int {
	switch color := c.header.ColorConfig; {
	case color.TwelveBit:
		return 12
	case color.HighBitDepth:
		return 10
	}
	return 8
}

// MIME is "av01." with profile, level, tier and depth (AV1 in ISOBMFF §5).
func (c *AV1) MIME() string {
	tier := 'M'
	if c.header.SeqTier[0] {
		tier = 'H'
	}
	return fmt.Sprintf("av01.%d.%02d%c.%02d", c.header.SeqProfile, c.header.SeqLevelIdx[0], tier, c.depth())
}

// AV1C is the AV1CodecConfigurationRecord (AV1 in ISOBMFF §2.3.3): the sequence
// header of enhanced FLV, MP4's av1C.
func (c *AV1) AV1C() []byte {
	h, color := &c.header, &c.header.ColorConfig
	flags := byte(color.ChromaSamplePosition) & 3
	for shift, set := range map[int]bool{
		7: h.SeqTier[0], 6: c.depth() > 8, 5: c.depth() == 12, 4: color.MonoChrome, 3: color.SubsamplingX, 2: color.SubsamplingY,
	} {
		if set {
			flags |= 1 << shift
		}
	}
	return append([]byte{0x81, h.SeqProfile<<5 | h.SeqLevelIdx[0]&0x1f, flags, 0}, c.Sequence...)
}

// ParseAV1C reads an AV1CodecConfigurationRecord, whose sequence header must be
// there.
func ParseAV1C(b []byte) (*AV1, error) {
	if len(b) < 4 || b[0] != 0x81 {
		return nil, errors.New("av1: decoder configuration is cut short")
	}
	for o := range obus(b[4:]) {
		if o.kind == obuSequence {
			return NewAV1(o.whole)
		}
	}
	return nil, errors.New("av1: decoder configuration without a sequence header")
}

// InBand returns a temporal unit with the sequence header before it, or the unit
// itself when it brings one.
func (c *AV1) InBand(payload []byte) []byte {
	for o := range obus(payload) {
		if o.kind == obuSequence {
			return payload
		}
	}
	return append(append(make([]byte, 0, len(c.Sequence)+len(payload)), c.Sequence...), payload...)
}

// FLVConfig is the body of the sequence header of Enhanced RTMP.
func (c *AV1) FLVConfig() []byte { return exConfig(exVideo|exKey, "av01", c.AV1C()) }

// AppendFLV appends what stands before a picture's payload in its tag; AV1 has
// no composition offsets.
func (c *AV1) AppendFLV(b []byte, key bool, _ int32) []byte {
	first := byte(exVideo | exInter | packetFrames)
	if key {
		first = exVideo | exKey | packetFrames
	}
	return append(append(b, first), "av01"...)
}

// FLVMetadata gives the properties of onMetaData.
func (c *AV1) FLVMetadata(set func(name string, v float64)) { exMetadata(c, "av01", set) }

// obu is an open bitstream unit (AV1 §5.3) with a size field.
type obu struct {
	kind  byte
	whole []byte
	body  []byte
}

// nextOBU takes the first unit off b; ok is false when there is no whole one
// with a size field.
func nextOBU(b []byte) (o obu, rest []byte, ok bool) {
	if len(b) < 2 || b[0]&0x82 != 2 { // forbidden bit, has_size
		return obu{}, nil, false
	}
	at := 1
	if b[0]&4 != 0 { // extension
		at = 2
	}
	size, n := leb128(b[at:])
	if n == 0 || size > uint64(len(b)-at-n) {
		return obu{}, nil, false
	}
	end := at + n + int(size)
	return obu{kind: b[0] >> 3 & 15, whole: b[:end:end], body: b[at+n : end]}, b[end:], true
}

// leb128 reads a number of at most 8 bytes (AV1 §4.10.5); n is 0 when it is cut
// short or does not fit in 32 bits.
func leb128(b []byte) (v uint64, n int) {
	for i := range min(len(b), 8) {
		v |= uint64(b[i]&0x7f) << (7 * i)
		if b[i]&0x80 == 0 {
			if v > 1<<32-1 {
				return 0, 0
			}
			return v, i + 1
		}
	}
	return 0, 0
}

// obus iterates over the units of a payload, up to the first that is not whole.
func obus(payload []byte) iter.Seq[obu] {
	return func(yield func(obu) bool) {
		for {
			o, rest, ok := nextOBU(payload)
			if !ok || !yield(o) {
				return
			}
			payload = rest
		}
	}
}

// av1Form is how AV1 travels: the OBUs of a temporal unit, each with its size,
// without delimiter and padding (AV1 in ISOBMFF §2.4).
type av1Form struct{}

func (av1Form) record(b []byte) (Video, int, error) {
	c, err := ParseAV1C(b)
	return c, 1, err
}

// unit needs no copy when there is nothing to leave out. The last unit may lack
// its size, which it is given.
func (av1Form) unit(b []byte, _ int) []byte {
	clean, rest := 0, b
	var out []byte
	for len(rest) > 0 {
		o, next, ok := nextOBU(rest)
		if !ok {
			if o, ok = lastOBU(rest); !ok {
				return nil
			}
			out = append(out, b[:clean]...)
			return append(out, o.whole...)
		}
		switch o.kind {
		case obuDelimiter, obuTileList, obuPadding:
			out, b, clean = append(out, b[:clean]...), next, 0
		default:
			clean += len(o.whole)
		}
		rest = next
	}
	switch {
	case clean == 0 && len(out) == 0:
		return nil
	case len(out) == 0:
		return b[:clean:clean]
	}
	return append(out, b[:clean]...)
}

// lastOBU gives a unit without a size field, which reaches to the end, one.
func lastOBU(b []byte) (obu, bool) {
	head := 1
	if len(b) > 0 && b[0]&4 != 0 {
		head = 2
	}
	if len(b) <= head || b[0]&0x82 != 0 {
		return obu{}, false
	}
	out := append([]byte{b[0] | 2}, b[1:head]...)
	n := len(b) - head
	for ; n >= 0x80; n >>= 7 {
		out = append(out, byte(n)|0x80)
	}
	o, _, ok := nextOBU(append(append(out, byte(n)), b[head:]...))
	return o, ok
}

// key looks at the first frame's header (AV1 §5.9.2): show_existing_frame 0,
// frame_type KEY_FRAME, show_frame 1. Still pictures have no such bits.
func (av1Form) key(payload []byte) bool {
	for o := range obus(payload) {
		switch o.kind {
		case obuSequence:
			if len(o.body) > 0 && o.body[0]&0x08 != 0 { // reduced_still_picture_header
				return true
			}
		case obuHeader, obuFrame:
			return len(o.body) > 0 && o.body[0]&0xf0 == 0x10
		}
	}
	return false
}

func (av1Form) whole(payload []byte, now Video) []byte { return now.InBand(payload) }

func (av1Form) update(payload []byte, now Video) Video {
	for o := range obus(payload) {
		if o.kind != obuSequence {
			continue
		}
		if was, ok := now.(*AV1); ok && bytes.Equal(was.Sequence, o.whole) {
			return nil
		}
		c, err := NewAV1(o.whole)
		if err != nil {
			return nil // as good as none
		}
		return c
	}
	return nil
}
