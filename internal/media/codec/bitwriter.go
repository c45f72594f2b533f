package codec

// bitWriter appends bits, the most significant first. The zero value is ready.
type bitWriter struct {
	b    []byte
	left int // free bits in the last byte
}

// bits appends the lowest n bits of v, n at most 32.
func (w *bitWriter) bits(v uint32, n int) {
	for n > 0 {
		if w.left == 0 {
			w.b, w.left = append(w.b, 0), 8
		}
		k := min(n, w.left)
		n -= k
		w.left -= k
		w.b[len(w.b)-1] |= byte(v>>n&(1<<k-1)) << w.left
	}
}

// golomb appends ue(v) (ITU-T H.264 §9.1).
func (w *bitWriter) golomb(v uint32) {
	zeros := 0
	for n := uint64(v) + 1; n > 1; n >>= 1 {
		zeros++
	}
	w.bits(0, zeros)
	w.bits(1, 1)
	w.bits(uint32(uint64(v)+1-1<<zeros), zeros)
}

// signed appends se(v) (ITU-T H.264 §9.1.1).
func (w *bitWriter) signed(v int32) {
	if v > 0 {
		w.golomb(uint32(2*int64(v) - 1))
	} else {
		w.golomb(uint32(-2 * int64(v)))
	}
}

// flag appends one bit.
func (w *bitWriter) flag(v bool) {
	if v {
		w.bits(1, 1)
	} else {
		w.bits(0, 1)
	}
}

// fill appends copies of a bit up to the end of the byte.
func (w *bitWriter) fill(bit uint32) {
	for w.left > 0 {
		w.bits(bit, 1)
	}
}

// copyBits appends the bits [from, to) of b.
func (w *bitWriter) copyBits(b []byte, from, to int) {
	for from < to && from%8 != 0 {
		w.bits(uint32(b[from/8]>>(7-from%8)), 1)
		from++
	}
	for ; to-from >= 8; from += 8 {
		w.bits(uint32(b[from/8]), 8)
	}
	for ; from < to; from++ {
		w.bits(uint32(b[from/8]>>(7-from%8)), 1)
	}
}
