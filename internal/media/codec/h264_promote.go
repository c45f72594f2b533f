package codec

// promote makes an IDR picture of one that Intra accepts: the same pixels, in
// both entropy codings, under a new slice header. Streams with open groups of
// pictures have no other IDR picture than their first.
func (c *H264) promote(au []byte) ([]byte, error) {
	if !c.Intra(au) {
		return nil, errFeature
	}
	sets := parameterSets{track: c, au: au}
	out := make([]byte, 0, len(au)+64)
	for n := range NALUs(au) {
		if !isSlice(n) {
			if keep(n) {
				out = appendNALU(out, n)
			}
			continue
		}
		h, err := sets.slice(n)
		if err != nil {
			return nil, err
		}
		if h.kind != sliceI || h.field || h.sps.PicOrderCntType == 1 {
			return nil, errFeature
		}
		out = appendNALU(out, h.idr(n[0]))
	}
	return out, nil
}

// keep says which NAL units besides slices a repeated picture has: parameter
// sets. Timing and captions would be told again and again, delimiters and filler
// are of no use, other kinds of slices belong to other decoders.
func keep(nalu []byte) bool {
	t := nalu[0] & 0x1f
	return t == NALSPS || t == NALPPS
}

// idr returns an I slice as one of an IDR picture; first is its NAL unit's first
// byte.
func (h *sliceHeader) idr(first byte) []byte {
	w := &bitWriter{b: make([]byte, 0, len(h.raw)+16)}
	w.bits(uint32(first&0xe0|NALIDR), 8)
	w.golomb(h.first)
	w.golomb(sliceI + 5)
	w.golomb(h.pps.id)
	w.bits(0, int(h.sps.Log2MaxFrameNumMinus4)+4)
	if !h.sps.FrameMbsOnlyFlag {
		w.flag(false) // field_pic_flag
	}
	w.golomb(0) // idr_pic_id
	if h.sps.PicOrderCntType == 0 {
		lsb := uint32(max(-h.deltaBottom, 0)) // the lower of both fields' counts is 0 (§8.2.1)
		w.bits(lsb, int(h.sps.Log2MaxPicOrderCntLsbMinus4)+4)
		if h.pps.fieldOrder {
			w.signed(h.deltaBottom)
		}
	}
	if h.pps.redundantCount {
		w.golomb(h.redundant)
	}
	w.bits(0, 2) // marking: a short-term reference
	w.signed(h.qpDelta)
	if h.pps.deblocking {
		w.golomb(uint32(h.deblocking[0]))
		if h.deblocking[0] != 1 {
			w.signed(h.deblocking[1])
			w.signed(h.deblocking[2])
		}
	}
	from, to := h.end, 8*len(h.raw)
	if h.pps.cabac {
		w.fill(1)
		w.b = append(w.b, h.raw[min((from+7)/8, len(h.raw)):]...)
		return escape(w.b)
	}
	for to > from && h.raw[(to-1)/8]>>(7-(to-1)%8)&1 == 0 { // up to the stop bit
		to--
	}
	w.copyBits(h.raw, from, to)
	return escape(w.b)
}
