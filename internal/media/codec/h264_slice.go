package codec

import (
	"bytes"
	"errors"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// Why a stream's pictures can be repeated, but not extended or promoted.
var (
	errPPS     = errors.New("h264: picture parameter set is cut short")
	errFeature = errors.New("h264: a feature that the hold does not know")
)

// The slice types (ITU-T H.264 table 7-6), which repeat from 5 on.
const (
	sliceP = 0
	sliceI = 2
)

// pps is what slice headers need of a picture parameter set (§7.3.2.2).
type pps struct {
	id, sps        uint32
	cabac          bool
	fieldOrder     bool // bottom_field_pic_order_in_frame_present_flag
	sliceGroups    bool // more than one; then nothing below is known
	refs           uint32
	weighted       bool
	qp             int32 // pic_init_qp_minus26
	deblocking     bool  // deblocking_filter_control_present_flag
	redundantCount bool
}

func parsePPS(nalu []byte) (p pps, err error) {
	if len(nalu) < 2 || nalu[0]&0x1f != NALPPS {
		return p, errPPS
	}
	r := bitReader{b: h264.EmulationPreventionRemove(nalu), pos: 8}
	p.id, p.sps = r.golomb(), r.golomb()
	p.cabac, p.fieldOrder = r.bits(1) == 1, r.bits(1) == 1
	if p.sliceGroups = r.golomb() > 0; p.sliceGroups {
		return p, nil
	}
	p.refs = r.golomb()
	r.golomb() // of list 1
	p.weighted = r.bits(1) == 1
	r.bits(2) // weighted_bipred_idc
	p.qp = r.signed()
	r.signed() // pic_init_qs_minus26
	r.signed() // chroma_qp_index_offset
	p.deblocking = r.bits(1) == 1
	r.bits(1) // constrained_intra_pred_flag
	p.redundantCount = r.bits(1) == 1
	if r.bad || p.id > 255 || p.sps > 31 || p.qp < -62 || p.qp > 25 {
		return p, errPPS
	}
	return p, nil
}

// sliceHeader is the beginning of a slice of an I or P picture, as far as the
// hold writes it anew (§7.3.3).
type sliceHeader struct {
	first, kind uint32 // kind is 0 to 4
	sps         *h264.SPS
	pps         *pps
	field       bool
	lsb         uint32 // pic_order_cnt_lsb
	deltaBottom int32
	redundant   uint32
	longTerm    bool // of an IDR picture
	qpDelta     int32
	deblocking  [3]int32 // disable_deblocking_filter_idc and the two offsets
	end         int      // where the slice data begin, in bits of raw
	raw         []byte   // the unit without emulation prevention
}

// parameterSets finds the sets of an access unit: those that it brings, before
// those of the track.
type parameterSets struct {
	track *H264
	au    []byte
}

func (s parameterSets) find(kind byte, fits func(nalu []byte) bool) bool {
	for n := range NALUs(s.au) {
		if n[0]&0x1f == kind && fits(n) {
			return true
		}
	}
	if kind == NALSPS {
		return fits(s.track.SPS)
	}
	return fits(s.track.PPS)
}

// of returns the sets that a slice with this pic_parameter_set_id refers to.
func (s parameterSets) of(id uint32) (*h264.SPS, *pps, error) {
	var p pps
	if !s.find(NALPPS, func(n []byte) bool {
		q, err := parsePPS(n)
		p = q
		return err == nil && q.id == id
	}) {
		return nil, nil, errPPS
	}
	var sps h264.SPS
	if !s.find(NALSPS, func(n []byte) bool {
		var q h264.SPS
		if len(n) < 4 || q.Unmarshal(n) != nil || q.ID != p.sps {
			return false
		}
		sps = q
		return true
	}) {
		return nil, nil, errPPS
	}
	if sps.SeparateColourPlaneFlag || p.sliceGroups || sps.Log2MaxFrameNumMinus4 > 12 ||
		sps.Log2MaxPicOrderCntLsbMinus4 > 12 || sps.PicOrderCntType > 2 {
		return nil, nil, errFeature
	}
	return &sps, &p, nil
}

// slice reads a slice's header. Of slices that are not I only what comes before
// the reference lists is read, and end stays 0.
func (s parameterSets) slice(nalu []byte) (*sliceHeader, error) {
	h := &sliceHeader{raw: h264.EmulationPreventionRemove(nalu)}
	r := &bitReader{b: h.raw, pos: 8}
	h.first, h.kind = r.golomb(), r.golomb()%5
	id := r.golomb()
	if r.bad {
		return nil, errSliceHeader
	}
	var err error
	if h.sps, h.pps, err = s.of(id); err != nil {
		return nil, err
	}
	r.bits(int(h.sps.Log2MaxFrameNumMinus4) + 4)
	if !h.sps.FrameMbsOnlyFlag {
		if h.field = r.bits(1) == 1; h.field {
			r.bits(1) // bottom_field_flag
		}
	}
	idr := nalu[0]&0x1f == NALIDR
	if idr {
		r.golomb() // idr_pic_id
	}
	h.order(r)
	if h.pps.redundantCount {
		h.redundant = r.golomb()
	}
	if h.kind == sliceI {
		h.rest(r, idr, nalu[0]&0x60 != 0)
	}
	if r.bad {
		return nil, errSliceHeader
	}
	return h, nil
}

// order reads the picture order count.
func (h *sliceHeader) order(r *bitReader) {
	switch {
	case h.sps.PicOrderCntType == 0:
		h.lsb = r.bits(int(h.sps.Log2MaxPicOrderCntLsbMinus4) + 4)
		if h.pps.fieldOrder && !h.field {
			h.deltaBottom = r.signed()
		}
	case h.sps.PicOrderCntType == 1 && !h.sps.DeltaPicOrderAlwaysZeroFlag:
		r.signed()
		if h.pps.fieldOrder && !h.field {
			r.signed()
		}
	}
}

// rest reads what follows in an I slice.
func (h *sliceHeader) rest(r *bitReader, idr, reference bool) {
	switch {
	case reference && idr:
		r.bits(1) // no_output_of_prior_pics_flag
		h.longTerm = r.bits(1) == 1
	case reference && r.bits(1) == 1: // memory management commands (§7.3.3.3)
		for op := r.golomb(); op != 0 && !r.bad; op = r.golomb() {
			r.golomb()
			if op == 3 {
				r.golomb()
			}
			if op == 5 || op > 6 { // 5 has no operand, and resets what follows
				r.bad = true
			}
		}
	}
	h.qpDelta = r.signed()
	if h.pps.deblocking {
		h.deblocking[0] = int32(r.golomb())
		if h.deblocking[0] != 1 {
			h.deblocking[1], h.deblocking[2] = r.signed(), r.signed()
		}
	}
	h.end = r.pos
}

// isSlice says whether a NAL unit is a whole slice of a primary picture.
func isSlice(nalu []byte) bool {
	t := nalu[0] & 0x1f
	return len(nalu) > 1 && (t == NALSlice || t == NALIDR)
}

// Intra reports whether an access unit is a picture of I slices alone that other
// pictures may refer to: one that Promote can make a key frame of.
func (c *H264) Intra(au []byte) bool {
	found := false
	for n := range NALUs(au) {
		switch t := n[0] & 0x1f; {
		case t >= 2 && t <= NALIDR: // an IDR, or data partitions
			return false
		case t != NALSlice:
			continue
		}
		if n[0]&0x60 == 0 {
			return false
		}
		// The two codes before the type end within the first bytes; emulation
		// prevention cannot stand before the third.
		r := bitReader{b: n[:min(len(n), 8)], pos: 8}
		if bytes.Contains(r.b, []byte{0, 0, 3}) {
			r.b = h264.EmulationPreventionRemove(r.b)
		}
		r.golomb()
		if r.golomb()%5 != sliceI || r.bad {
			return false
		}
		found = true
	}
	return found
}
