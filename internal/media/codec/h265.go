package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"glimpse/internal/media/frame"
)

// The NAL unit types of H.265 that are looked at (ITU-T H.265 table 7-1).
const (
	hevcIDR  = 19 // IDR_W_RADL; 20 is IDR_N_LP, 21 a CRA
	hevcCRA  = 21
	hevcVPS  = 32
	hevcSPS  = 33
	hevcPPS  = 34
	hevcAUD  = 35
	hevcFill = 38
)

// hevcType is the type of a NAL unit.
func hevcType(nalu []byte) byte { return nalu[0] >> 1 & 0x3f }

// H265 is a track's parameter sets and what they say. Make it with NewH265.
type H265 struct {
	VPS, SPS, PPS []byte // NAL units without start code or length
	width, height int
	rate          float64
	profile       []byte // general_profile_space to general_level_idc, 12 bytes
	format        [3]byte
	layers        byte // temporal layers and their nesting, as hvcC has them
}

// NewH265 parses an SPS and keeps all three sets (the slices are not copied).
func NewH265(vps, sps, pps []byte) (*H265, error) {
	if len(vps) < 2 || hevcType(vps) != hevcVPS || len(sps) < 2 || hevcType(sps) != hevcSPS || len(pps) < 2 || hevcType(pps) != hevcPPS {
		return nil, errors.New("h265: no parameter sets")
	}
	var s h265.SPS
	if err := s.Unmarshal(sps); err != nil {
		return nil, fmt.Errorf("h265: sequence parameter set: %w", err)
	}
	raw := h264.EmulationPreventionRemove(sps)
	if len(raw) < 15 {
		return nil, errors.New("h265: sequence parameter set is cut short")
	}
	c := &H265{
		VPS: vps, SPS: sps, PPS: pps, width: s.Width(), height: s.Height(), rate: s.FPS(), profile: raw[3:15],
		format: [3]byte{0xfc | byte(s.ChromaFormatIdc), 0xf8 | byte(s.BitDepthLumaMinus8)&7, 0xf8 | byte(s.BitDepthChromaMinus8)&7},
		layers: (s.MaxSubLayersMinus1+1)<<3 | 3,
	}
	if s.TemporalIDNestingFlag {
		c.layers |= 4
	}
	if c.width <= 0 || c.height <= 0 || c.width > maxDimension || c.height > maxDimension {
		return nil, fmt.Errorf("h265: picture of %dx%d pixels; at most %d each way", c.width, c.height, maxDimension)
	}
	return c, nil
}

// Kind is frame.Video.
func (c *H265) Kind() frame.Kind { return frame.Video }

// Name is "H.265".
func (c *H265) Name() string { return nameH265 }

// Size of the shown picture in pixels.
func (c *H265) Size() (width, height int) { return c.width, c.height }

// FrameRate is what the sequence parameter set says, 0 when it does not.
func (c *H265) FrameRate() float64 { return c.rate }

// IsKey reports whether the access unit holds an IDR or CRA picture; those
// before it in order of display that a CRA leaves behind (RASL) are skipped by
// decoders that begin there.
func (c *H265) IsKey(payload []byte) bool { return h265Form{}.key(payload) }

// Equal reports whether both have the same parameter sets.
func (c *H265) Equal(o *H265) bool {
	return bytes.Equal(c.SPS, o.SPS) && bytes.Equal(c.PPS, o.PPS) && bytes.Equal(c.VPS, o.VPS)
}

// MIME is "hvc1." with profile, compatibility, tier and level, and constraints
// (ISO/IEC 14496-15 Annex E.3).
func (c *H265) MIME() string {
	p := c.profile
	var b strings.Builder
	b.WriteString("hvc1.")
	if space := p[0] >> 6; space > 0 {
		b.WriteByte('A' + space - 1)
	}
	tier := byte('L')
	if p[0]&0x20 != 0 {
		tier = 'H'
	}
	fmt.Fprintf(&b, "%d.%X.%c%d", p[0]&0x1f, bits.Reverse32(binary.BigEndian.Uint32(p[1:])), tier, p[11])
	for _, v := range bytes.TrimRight(p[5:11], "\x00") {
		fmt.Fprintf(&b, ".%X", v)
	}
	return b.String()
}

// HVCC is the HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 §8.3.3.1) with
// 4-byte lengths: the sequence header of enhanced FLV, MP4's hvcC.
func (c *H265) HVCC() []byte {
	b := make([]byte, 0, 38+len(c.VPS)+len(c.SPS)+len(c.PPS))
	b = append(append(b, 1), c.profile...)
	b = append(b, 0xf0, 0, 0xfc, c.format[0], c.format[1], c.format[2], 0, 0, c.layers, 3)
	for _, set := range [...][]byte{c.VPS, c.SPS, c.PPS} {
		b = append(b, 0x80|hevcType(set), 0, 1)
		b = binary.BigEndian.AppendUint16(b, uint16(len(set)))
		b = append(b, set...)
	}
	return b
}

// ParseHVCC reads an HEVCDecoderConfigurationRecord: the first set of each kind,
// and the size of the lengths that frames use (1, 2 or 4; 0 when it is cut short).
func ParseHVCC(b []byte) (c *H265, lengthSize int, err error) {
	short := errors.New("h265: decoder configuration is cut short")
	if len(b) < 23 {
		return nil, 0, short
	}
	lengthSize = int(b[21]&3) + 1
	if lengthSize == 3 {
		return nil, 0, errors.New("h265: 3-byte NAL unit lengths")
	}
	arrays, b := int(b[22]), b[23:]
	var sets hevcSets
	for range arrays {
		if len(b) < 3 {
			return nil, lengthSize, short
		}
		n := int(binary.BigEndian.Uint16(b[1:]))
		b = b[3:]
		for range n {
			if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
				return nil, lengthSize, short
			}
			l := int(binary.BigEndian.Uint16(b))
			sets.add(b[2 : 2+l : 2+l])
			b = b[2+l:]
		}
	}
	c, err = NewH265(sets.vps, sets.sps, sets.pps)
	return c, lengthSize, err
}

// hevcSets collects the first parameter set of each kind.
type hevcSets struct{ vps, sps, pps []byte }

func (s *hevcSets) add(nalu []byte) {
	if len(nalu) < 2 {
		return
	}
	set := &s.vps
	switch hevcType(nalu) {
	case hevcVPS:
	case hevcSPS:
		set = &s.sps
	case hevcPPS:
		set = &s.pps
	default:
		return
	}
	if *set == nil {
		*set = nalu
	}
}

// InBand returns a picture's payload with the parameter sets before it, or the
// payload itself when it brings a sequence parameter set of its own.
func (c *H265) InBand(payload []byte) []byte {
	for n := range NALUs(payload) {
		if hevcType(n) == hevcSPS {
			return payload
		}
	}
	b := make([]byte, 0, 12+len(c.VPS)+len(c.SPS)+len(c.PPS)+len(payload))
	return append(appendNALU(appendNALU(appendNALU(b, c.VPS), c.SPS), c.PPS), payload...)
}

// FLVConfig is the body of the sequence header of Enhanced RTMP.
func (c *H265) FLVConfig() []byte { return exConfig(exVideo|exKey, "hvc1", c.HVCC()) }

// AppendFLV appends what stands before a picture's payload in its tag.
func (c *H265) AppendFLV(b []byte, key bool, cts int32) []byte {
	return appendExVideo(b, "hvc1", key, cts)
}

// FLVMetadata gives the properties of onMetaData.
func (c *H265) FLVMetadata(set func(name string, v float64)) { exMetadata(c, "hvc1", set) }

// h265Form is how H.265 travels: NAL units.
type h265Form struct{}

func (h265Form) record(b []byte) (Video, int, error) {
	c, lengths, err := ParseHVCC(b)
	if lengths == 0 {
		lengths = 4
	}
	return c, lengths, err
}

func (h265Form) unit(b []byte, lengths int) []byte {
	if lengths == 0 {
		return fromAnnexB(b, func(n byte) bool { n = n >> 1 & 0x3f; return n == hevcAUD || n == hevcFill })
	}
	return widened(b, lengths)
}

func (h265Form) key(payload []byte) bool {
	for n := range NALUs(payload) {
		if t := hevcType(n); t >= hevcIDR && t <= hevcCRA {
			return true
		}
	}
	return false
}

func (h265Form) whole(payload []byte, _ Video) []byte { return payload }

func (h265Form) update(payload []byte, now Video) Video {
	var sets hevcSets
	for n := range NALUs(payload) {
		sets.add(n)
	}
	if was, ok := now.(*H265); ok {
		sets.add(was.VPS)
		sets.add(was.SPS)
		sets.add(was.PPS)
		if was.Equal(&H265{VPS: sets.vps, SPS: sets.sps, PPS: sets.pps}) {
			return nil
		}
	}
	c, err := NewH265(sets.vps, sets.sps, sets.pps)
	if err != nil {
		return nil // as good as none
	}
	return c
}
