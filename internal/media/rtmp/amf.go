package rtmp

import "encoding/binary"

// Bounds of AMF0 values in one message (FAULTS part 1): a decoder that recurses
// would overflow its stack, and four megabytes of nulls become hundreds.
const (
	maxAMFDepth  = 16
	maxAMFValues = 1024
)

const (
	errAMF      = protocolError("malformed AMF0 value")
	errAMFDepth = protocolError("AMF0 values are nested too deeply")
	errAMFCount = protocolError("too many AMF0 values in a message")
)

// amfWalker steps over AMF0 values without making anything of them. Its grammar
// is that of gortmplib's decoder: what passes here is decoded there without
// recursion beyond maxAMFDepth or more than maxAMFValues values.
type amfWalker struct {
	b      []byte
	values int
}

// checkAMF walks all values of a message's body.
func checkAMF(b []byte) error {
	w := amfWalker{b: b}
	for len(w.b) > 0 {
		if err := w.value(1); err != nil {
			return err
		}
	}
	return nil
}

// skip steps over n bytes.
func (w *amfWalker) skip(n int) error {
	if len(w.b) < n {
		return errAMF
	}
	w.b = w.b[n:]
	return nil
}

// value steps over one value (AMF0 §2).
func (w *amfWalker) value(depth int) error {
	if depth > maxAMFDepth {
		return errAMFDepth
	}
	if w.values++; w.values > maxAMFValues {
		return errAMFCount
	}
	if len(w.b) == 0 {
		return errAMF
	}
	marker := w.b[0]
	w.b = w.b[1:]
	switch marker {
	case 0: // number
		return w.skip(8)
	case 1: // boolean
		return w.skip(1)
	case 2: // string
		return w.text()
	case 3: // object
		return w.object(depth)
	case 5, 6: // null, undefined
		return nil
	case 8: // ECMA array: a count that nobody relies on, then an object
		if err := w.skip(4); err != nil {
			return err
		}
		return w.object(depth)
	case 10:
		return w.array(depth)
	}
	return errAMF
}

// text steps over a string of 16-bit length.
func (w *amfWalker) text() error {
	if len(w.b) < 2 {
		return errAMF
	}
	return w.skip(2 + int(binary.BigEndian.Uint16(w.b)))
}

// object steps over properties up to the empty name and the end marker.
func (w *amfWalker) object(depth int) error {
	for {
		if len(w.b) < 2 {
			return errAMF
		}
		if w.b[0] == 0 && w.b[1] == 0 {
			if len(w.b) < 3 || w.b[2] != 9 {
				return errAMF
			}
			return w.skip(3)
		}
		if err := w.text(); err != nil {
			return err
		}
		if err := w.value(depth + 1); err != nil {
			return err
		}
	}
}

// array steps over a strict array.
func (w *amfWalker) array(depth int) error {
	if len(w.b) < 4 {
		return errAMF
	}
	n := binary.BigEndian.Uint32(w.b)
	w.b = w.b[4:]
	for range n { // ends at maxAMFValues at the latest
		if err := w.value(depth + 1); err != nil {
			return err
		}
	}
	return nil
}
