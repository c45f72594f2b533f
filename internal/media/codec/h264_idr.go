package codec

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// repeatIDR makes two access units that show the same picture as an IDR access
// unit (AVCC form) and may follow it, and each other, directly: neighbouring
// IDR pictures must differ in idr_pic_id (ITU-T H.264 §7.4.3), or a decoder may
// take them for one. Only slices and parameter sets are kept. The input is not
// changed.
func (c *H264) repeatIDR(payload []byte) (a, b []byte, err error) {
	var sps h264.SPS
	if err := sps.Unmarshal(c.SPS); err != nil {
		return nil, nil, fmt.Errorf("h264: sequence parameter set: %w", err)
	}
	for nalu := range NALUs(payload) {
		switch {
		case nalu[0]&0x1f == NALIDR:
			na, nb, err := replaceIDRPicID(&sps, nalu)
			if err != nil {
				return nil, nil, err
			}
			a, b = appendNALU(a, na), appendNALU(b, nb)
		case keep(nalu) || isSlice(nalu): // the second field of a picture may be a P slice
			a, b = appendNALU(a, nalu), appendNALU(b, nalu)
		}
	}
	return a, b, nil
}

func appendNALU(dst, nalu []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(nalu)))
	return append(dst, nalu...)
}

var errSliceHeader = errors.New("h264: slice header is cut short")

// replaceIDRPicID rewrites one IDR slice with two other ids.
//
// The ids are chosen so that their Exp-Golomb codes are as long as the old one,
// or a multiple of 8 bits longer: what follows then keeps its place within the
// byte, and neither the rest of the header nor the alignment of CABAC data needs
// a look. They are the highest such ids, for a publisher that comes back may
// count from anywhere, but most often from 0.
func replaceIDRPicID(sps *h264.SPS, nalu []byte) (a, b []byte, err error) {
	rbsp := h264.EmulationPreventionRemove(nalu)
	r := bitReader{b: rbsp, pos: 8}
	r.golomb() // first_mb_in_slice
	r.golomb() // slice_type
	r.golomb() // pic_parameter_set_id
	if sps.SeparateColourPlaneFlag {
		r.bits(2)
	}
	r.bits(int(sps.Log2MaxFrameNumMinus4) + 4)
	if !sps.FrameMbsOnlyFlag && r.bits(1) == 1 {
		r.bits(1) // bottom_field_flag
	}
	from := r.pos
	id := r.golomb()
	if r.bad || id > 65535 {
		return nil, nil, errSliceHeader
	}
	zeros := (r.pos - from) / 2 // leading zeros of the code: it has 2*zeros+1 bits
	if zeros > 15 {
		zeros -= 4 // 65535 has a code of its own length
	}
	zeros += (15 - zeros) / 4 * 4
	var ids []uint32
	for v := uint32(1)<<(zeros+1) - 2; len(ids) < 2; v-- {
		if v != id {
			ids = append(ids, v)
		}
	}
	return splice(rbsp, from, r.pos, ids[0], zeros), splice(rbsp, from, r.pos, ids[1], zeros), nil
}

// splice replaces the bits [from, to) of a NAL unit's raw bytes with the
// Exp-Golomb code of v, which has 2*zeros+1 bits: a multiple of 8 more or less
// than before. It returns the unit with emulation prevention.
func splice(rbsp []byte, from, to int, v uint32, zeros int) []byte {
	end := from + 2*zeros + 1
	out := make([]byte, len(rbsp)+(end-to)/8)
	copy(out[end/8:], rbsp[to/8:])
	copy(out[:from/8], rbsp)
	for i := from &^ 7; i < from; i++ {
		setBit(out, i, rbsp[i/8]>>(7-i%8)&1)
	}
	for i := from; i < end; i++ {
		shift := end - 1 - i
		bit := byte(0)
		if shift <= zeros {
			bit = byte((v + 1) >> shift & 1)
		}
		setBit(out, i, bit)
	}
	return escape(out)
}

func setBit(b []byte, i int, bit byte) {
	mask := byte(0x80) >> (i % 8)
	b[i/8] &^= mask
	if bit == 1 {
		b[i/8] |= mask
	}
}

// escape inserts emulation prevention bytes (ITU-T H.264 §7.4.1.1).
func escape(rbsp []byte) []byte {
	out := make([]byte, 0, len(rbsp)+len(rbsp)/64+4)
	zeros := 0
	for _, v := range rbsp {
		if zeros == 2 && v <= 3 {
			out = append(out, 3)
			zeros = 0
		}
		out = append(out, v)
		if v == 0 {
			zeros++
		} else {
			zeros = 0
		}
	}
	return out
}

// bitReader reads an RBSP from bit pos. Reading past the end sets bad.
type bitReader struct {
	b   []byte
	pos int
	bad bool
}

func (r *bitReader) bits(n int) uint32 {
	v := uint32(0)
	for range n {
		if r.pos >= len(r.b)*8 {
			r.bad = true
			return 0
		}
		v = v<<1 | uint32(r.b[r.pos/8]>>(7-r.pos%8)&1)
		r.pos++
	}
	return v
}

// signed reads se(v).
func (r *bitReader) signed() int32 {
	v := r.golomb()
	if v&1 == 1 {
		return int32(v>>1) + 1
	}
	return -int32(v >> 1)
}

// golomb reads ue(v) of at most 32 bits.
func (r *bitReader) golomb() uint32 {
	zeros := 0
	for r.bits(1) == 0 {
		if zeros++; r.bad || zeros > 31 {
			r.bad = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.bits(zeros)
}
