package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"glimpse/internal/media/frame"
)

// The NAL unit types that the media plane looks at (ITU-T H.264 table 7-1).
const (
	NALSlice = 1
	NALIDR   = 5
	NALSEI   = 6
	NALSPS   = 7
	NALPPS   = 8
	NALAUD   = 9
	NALFill  = 12
)

// maxDimension bounds pictures before any decoder sees them (FAULTS part 1).
const maxDimension = 4096

// H264 is a track's parameter sets and what they say. Make it with NewH264.
type H264 struct {
	SPS, PPS      []byte  // NAL units without start code or length
	Width, Height int     // pixels after cropping
	FPS           float64 // from the VUI, 0 when it does not say
	// Reorder is true when pictures may be shown in another order than they
	// are decoded (B-frames): WebRTC cannot carry those.
	Reorder bool
}

var _ frame.Codec = (*H264)(nil)

// NewH264 parses an SPS and keeps both sets (the slices are not copied).
func NewH264(sps, pps []byte) (*H264, error) {
	if len(sps) < 4 || sps[0]&0x1f != NALSPS || len(pps) < 1 || pps[0]&0x1f != NALPPS {
		return nil, errors.New("h264: no parameter sets")
	}
	var s h264.SPS
	if err := s.Unmarshal(sps); err != nil {
		return nil, fmt.Errorf("h264: sequence parameter set: %w", err)
	}
	c := &H264{SPS: sps, PPS: pps, Width: s.Width(), Height: s.Height(), FPS: s.FPS()}
	if c.Width <= 0 || c.Height <= 0 || c.Width > maxDimension || c.Height > maxDimension {
		return nil, fmt.Errorf("h264: picture of %dx%d pixels; at most %d each way", c.Width, c.Height, maxDimension)
	}
	c.Reorder = reorders(&s)
	return c, nil
}

// reorders says whether pictures may be reordered. Baseline (66) cannot; POC
// type 2 means output order = decoding order; otherwise the bitstream
// restriction tells, and without one B-frames must be assumed.
func reorders(s *h264.SPS) bool {
	if s.ProfileIdc == 66 || s.PicOrderCntType == 2 {
		return false
	}
	if s.VUI != nil && s.VUI.BitstreamRestriction != nil {
		return s.VUI.BitstreamRestriction.MaxNumReorderFrames > 0
	}
	return true
}

// Kind is frame.Video.
func (c *H264) Kind() frame.Kind { return frame.Video }

// Name is "H.264".
func (c *H264) Name() string { return nameH264 }

// Size of the shown picture in pixels.
func (c *H264) Size() (width, height int) { return c.Width, c.Height }

// FrameRate is FPS.
func (c *H264) FrameRate() float64 { return c.FPS }

// IsKey is HasIDR.
func (c *H264) IsKey(payload []byte) bool { return HasIDR(payload) }

// MIME is "avc1." and profile, constraints and level of the SPS in hex (RFC 6381 §3.3).
func (c *H264) MIME() string { return fmt.Sprintf("avc1.%02x%02x%02x", c.SPS[1], c.SPS[2], c.SPS[3]) }

// Equal reports whether both have the same parameter sets.
func (c *H264) Equal(o *H264) bool {
	return bytes.Equal(c.SPS, o.SPS) && bytes.Equal(c.PPS, o.PPS)
}

// AVCC is the AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1) with
// 4-byte lengths: FLV's sequence header, MP4's avcC.
func (c *H264) AVCC() []byte {
	b := make([]byte, 0, 11+len(c.SPS)+len(c.PPS))
	b = append(b, 1, c.SPS[1], c.SPS[2], c.SPS[3], 0xff, 0xe1)
	b = binary.BigEndian.AppendUint16(b, uint16(len(c.SPS)))
	b = append(b, c.SPS...)
	b = append(b, 1)
	b = binary.BigEndian.AppendUint16(b, uint16(len(c.PPS)))
	return append(b, c.PPS...)
}

// ParseAVCC reads an AVCDecoderConfigurationRecord: the first set of each kind,
// and the size of the lengths that frames use (1, 2 or 4).
func ParseAVCC(b []byte) (c *H264, lengthSize int, err error) {
	short := errors.New("h264: decoder configuration is cut short")
	if len(b) < 7 {
		return nil, 0, short
	}
	lengthSize = int(b[4]&3) + 1
	if lengthSize == 3 {
		return nil, 0, errors.New("h264: 3-byte NAL unit lengths")
	}
	sets := [2][]byte{}
	pos := 5
	for i := range sets {
		n := int(b[pos])
		if i == 0 {
			n &= 0x1f
		}
		pos++
		for j := range n {
			if len(b) < pos+2 {
				return nil, 0, short
			}
			l := int(binary.BigEndian.Uint16(b[pos:]))
			pos += 2
			if len(b) < pos+l {
				return nil, 0, short
			}
			if j == 0 {
				sets[i] = b[pos : pos+l : pos+l]
			}
			pos += l
		}
		if i == 0 && len(b) <= pos {
			return nil, 0, short
		}
	}
	c, err = NewH264(sets[0], sets[1])
	return c, lengthSize, err
}

// HasIDR reports whether the access unit holds an IDR slice: the only pictures
// that this project calls key frames (MEDIA H1).
func HasIDR(payload []byte) bool {
	for n := range NALUs(payload) {
		if n[0]&0x1f == NALIDR {
			return true
		}
	}
	return false
}

// InBand returns a picture's payload with the parameter sets before it, or the
// payload itself when it brings a sequence parameter set of its own. The input is
// not changed.
func (c *H264) InBand(payload []byte) []byte {
	for n := range NALUs(payload) {
		if n[0]&0x1f == NALSPS {
			return payload
		}
	}
	b := make([]byte, 0, 8+len(c.SPS)+len(c.PPS)+len(payload))
	return append(appendNALU(appendNALU(b, c.SPS), c.PPS), payload...)
}

// h264Form is how H.264 travels: NAL units.
type h264Form struct{}

func (h264Form) record(b []byte) (Video, int, error) {
	c, lengths, err := ParseAVCC(b)
	if lengths == 0 {
		lengths = 4
	}
	return c, lengths, err
}

func (h264Form) unit(b []byte, lengths int) []byte {
	if lengths == 0 {
		return FromAnnexB(b)
	}
	return widened(b, lengths)
}

func (h264Form) key(payload []byte) bool { return HasIDR(payload) }

func (h264Form) whole(payload []byte, _ Video) []byte { return payload }

// update takes a key frame's parameter sets: the last of the sequence, the first
// of the picture.
func (h264Form) update(payload []byte, now Video) Video {
	var sps, pps []byte
	for n := range NALUs(payload) {
		switch n[0] & 0x1f {
		case NALSPS:
			sps = n
		case NALPPS:
			if pps == nil {
				pps = n
			}
		}
	}
	if was, ok := now.(*H264); ok {
		if sps == nil {
			sps = was.SPS
		}
		if pps == nil {
			pps = was.PPS
		}
		if was.Equal(&H264{SPS: sps, PPS: pps}) {
			return nil
		}
	}
	c, err := NewH264(sps, pps)
	if err != nil {
		return nil // as good as none
	}
	return c
}

// FLVConfig is the body of FLV's AVC sequence header (Annex E.4.3.1).
func (c *H264) FLVConfig() []byte {
	return append([]byte{0x17, 0, 0, 0, 0}, c.AVCC()...)
}

// AppendFLV appends the five bytes that stand before a picture's payload in its
// FLV tag (Annex E.4.3.1); cts is in milliseconds, signed 24 bit.
func (c *H264) AppendFLV(b []byte, key bool, cts int32) []byte {
	kind := byte(0x27)
	if key {
		kind = 0x17
	}
	return append(b, kind, 1, byte(cts>>16), byte(cts>>8), byte(cts))
}

// FLVMetadata gives the properties of onMetaData.
func (c *H264) FLVMetadata(set func(name string, v float64)) {
	set("videocodecid", 7)
	set("width", float64(c.Width))
	set("height", float64(c.Height))
	if c.FPS > 0 {
		set("framerate", c.FPS)
	}
}
