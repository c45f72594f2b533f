package codec

// skipQP is the quantiser of skip pictures. It changes no pixel, only the state
// that CABAC starts from: a high one makes "skipped" the likelier bin.
const skipQP = 40

// skipper makes pictures in which every macroblock is copied from the picture
// before: P pictures of one slice without residue or motion, which other
// pictures refer to, on the publisher's own parameter sets.
type skipper struct {
	idr  *sliceHeader
	data []byte // CABAC slice data, the same for every picture; nil for CAVLC
}

// newSkipper returns nil when such pictures cannot follow the IDR picture that
// has this slice.
func newSkipper(idr *sliceHeader) *skipper {
	s, p := idr.sps, idr.pps
	switch {
	case idr.field, s.MaxNumRefFrames == 0, idr.longTerm && s.MaxNumRefFrames < 2:
		return nil
	case s.ProfileIdc == 44, s.ProfileIdc >= 100 && s.ConstraintSet3Flag: // intra profiles
		return nil
	case mbWidth(idr)*mbHeight(idr) > 1<<16:
		return nil
	}
	k := &skipper{idr: idr}
	if p.cabac {
		mbaff := !s.FrameMbsOnlyFlag && s.MbAdaptiveFrameFieldFlag
		k.data = skippedData(int(mbWidth(idr)*mbHeight(idr)), mbaff)
	}
	return k
}

func mbWidth(h *sliceHeader) uint64 { return uint64(h.sps.PicWidthInMbsMinus1) + 1 }

func mbHeight(h *sliceHeader) uint64 {
	n := uint64(h.sps.PicHeightInMapUnitsMinus1) + 1
	if !h.sps.FrameMbsOnlyFlag {
		n *= 2
	}
	return n
}

// picture returns the NAL unit of the n-th skip picture after the IDR, n at
// least 1. frame_num and picture order count go on from the IDR's and wrap.
func (k *skipper) picture(n int) []byte {
	s, p := k.idr.sps, k.idr.pps
	w := &bitWriter{}
	w.bits(0x41, 8) // nal_ref_idc 2: a picture that is not referred to breaks the count
	w.golomb(0)     // first_mb_in_slice
	w.golomb(5)     // P, as all slices of the picture
	w.golomb(p.id)
	w.bits(uint32(n), int(s.Log2MaxFrameNumMinus4)+4)
	if !s.FrameMbsOnlyFlag {
		w.flag(false) // field_pic_flag
	}
	switch {
	case s.PicOrderCntType == 0:
		w.bits(k.idr.lsb+2*uint32(n), int(s.Log2MaxPicOrderCntLsbMinus4)+4)
		if p.fieldOrder {
			w.signed(k.idr.deltaBottom)
		}
	case s.PicOrderCntType == 1 && !s.DeltaPicOrderAlwaysZeroFlag:
		w.signed(0)
		if p.fieldOrder {
			w.signed(0)
		}
	}
	if p.redundantCount {
		w.golomb(0)
	}
	w.flag(p.refs > 0) // num_ref_idx_active_override_flag: one reference
	if p.refs > 0 {
		w.golomb(0)
	}
	w.flag(false) // ref_pic_list_modification_flag_l0
	if p.weighted {
		k.weights(w)
	}
	w.flag(false) // adaptive_ref_pic_marking_mode_flag: sliding window
	if p.cabac {
		w.golomb(0) // cabac_init_idc
		w.signed(skipQP - 26 - p.qp)
	} else {
		w.signed(0)
	}
	if p.deblocking {
		w.golomb(1) // off; there would be nothing to filter
	}
	if p.cabac {
		w.fill(1)
		w.b = append(w.b, k.data...)
	} else {
		w.golomb(uint32(mbWidth(k.idr) * mbHeight(k.idr))) // mb_skip_run
		w.bits(1, 1)
	}
	return escape(w.b)
}

// weights writes a prediction weight table without weights (§7.3.3.2).
func (k *skipper) weights(w *bitWriter) {
	colour := k.idr.sps.ChromaFormatIdc != 0
	w.golomb(0) // luma_log2_weight_denom
	if colour {
		w.golomb(0)
	}
	w.flag(false) // luma_weight_l0_flag
	if colour {
		w.flag(false)
	}
}

// skippedData is CABAC slice data of n skipped macroblocks (§9.3): only most
// probable bins are coded, with contexts 11 and "end of slice", so the coder's
// low end stays 0 up to the flush.
func skippedData(n int, mbaff bool) []byte {
	const initial = (23*skipQP)>>4 + 33 // m and n of context 11 with cabac_init_idc 0
	state := min(initial-64, 62)
	e := cabacFlush{width: 510}
	for i := 1; i <= n; i++ {
		e.width -= uint32(lpsRange[state-lpsFirst][e.width>>6&3])
		e.shift()
		state = min(state+1, 62)
		if mbaff && i%2 == 1 || i == n { // pairs have one end_of_slice_flag
			continue
		}
		e.width -= 2
		e.shift()
	}
	return e.end()
}

// cabacFlush is an arithmetic encoder (§9.3.4) that has coded most probable bins
// only.
type cabacFlush struct {
	width uint32 // codIRange
	zeros int    // bits put out so far
}

// shift renormalises.
func (e *cabacFlush) shift() {
	for ; e.width < 256; e.width <<= 1 {
		e.zeros++
	}
}

// end codes the last end_of_slice_flag and the stop bit (§9.3.4.5). Of the bits
// put out the first is not written.
func (e *cabacFlush) end() []byte {
	w := &bitWriter{}
	for n := e.zeros - 1; n > 0; n -= 32 {
		w.bits(0, min(n, 32))
	}
	first, waiting := e.zeros == 0, 0
	put := func(bit uint32) {
		if first {
			first = false
		} else {
			w.bits(bit, 1)
		}
		for ; waiting > 0; waiting-- {
			w.bits(1-bit, 1)
		}
	}
	low := e.width - 2
	for range 7 { // the range is 2 now
		switch {
		case low < 256:
			put(0)
		case low >= 512:
			low -= 512
			put(1)
		default:
			low -= 256
			waiting++
		}
		low <<= 1
	}
	put(low >> 9 & 1)
	w.bits(low>>7&3|1, 2)
	w.fill(0)
	return w.b
}

// lpsFirst is the state that skipped macroblocks start from.
const lpsFirst = 26

// lpsRange is rangeTabLPS (table 9-44) from state lpsFirst to 62.
var lpsRange = [...][4]uint8{
	{37, 45, 54, 62}, {35, 43, 51, 59}, {33, 41, 48, 56}, {32, 39, 46, 53}, {30, 37, 43, 50},
	{29, 35, 41, 48}, {27, 33, 39, 45}, {26, 31, 37, 43}, {24, 30, 35, 41}, {23, 28, 33, 39},
	{22, 27, 32, 37}, {21, 26, 30, 35}, {20, 24, 29, 33}, {19, 23, 27, 31}, {18, 22, 26, 30},
	{17, 21, 25, 28}, {16, 20, 23, 27}, {15, 19, 22, 25}, {14, 18, 21, 24}, {14, 17, 20, 23},
	{13, 16, 19, 22}, {12, 15, 18, 21}, {12, 14, 17, 20}, {11, 14, 16, 19}, {11, 13, 15, 18},
	{10, 12, 15, 17}, {10, 12, 14, 16}, {9, 11, 13, 15}, {9, 11, 12, 14}, {8, 10, 12, 14},
	{8, 9, 11, 13}, {7, 9, 11, 12}, {7, 9, 10, 12}, {7, 8, 10, 11}, {6, 8, 9, 11},
	{6, 7, 9, 10}, {6, 7, 8, 9},
}
