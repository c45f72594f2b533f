package codec

import (
	"bytes"
	"encoding/binary"
	"iter"
)

// NALUs iterates over the NAL units of a payload in AVCC form (4-byte lengths).
// It ends silently at the first length that does not fit: ValidAVCC says
// beforehand whether that can happen.
func NALUs(payload []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(payload) >= 4 {
			n := int(binary.BigEndian.Uint32(payload))
			if n < 0 || n > len(payload)-4 {
				return
			}
			if n > 0 && !yield(payload[4:4+n:4+n]) {
				return
			}
			payload = payload[4+n:]
		}
	}
}

// ValidAVCC reports whether a payload is a sequence of whole NAL units behind
// 4-byte lengths, with at least one.
func ValidAVCC(payload []byte) bool {
	any := false
	for len(payload) > 0 {
		if len(payload) < 4 {
			return false
		}
		n := int(binary.BigEndian.Uint32(payload))
		if n < 0 || n > len(payload)-4 {
			return false
		}
		any = any || n > 0
		payload = payload[4+n:]
	}
	return any
}

// WidenLengths gives NAL units behind lengths of 1, 2 or 4 bytes 4-byte ones; a
// payload that has them already is returned as it is. One that is not a sequence
// of whole units gives one that is not ValidAVCC.
func WidenLengths(b []byte, size int) []byte {
	if size == 4 {
		return b
	}
	out := make([]byte, 0, len(b)+len(b)/8+16)
	for len(b) >= size {
		n := int(b[0])
		if size == 2 {
			n = n<<8 | int(b[1])
		}
		b = b[size:]
		out = binary.BigEndian.AppendUint32(out, uint32(n))
		n = min(n, len(b))
		out = append(out, b[:n]...)
		b = b[n:]
	}
	return append(out, b...)
}

// widened brings NAL units behind lengths of a size into the hub's form; nil when
// they are not a sequence of whole units.
func widened(b []byte, lengths int) []byte {
	payload := WidenLengths(b, lengths)
	if !ValidAVCC(payload) {
		return nil
	}
	return payload
}

// FromAnnexB makes the AVCC form of an access unit behind start codes (ITU-T
// H.264 Annex B), without delimiters and filler. Nil when there is no NAL unit.
// The bytes are copied.
func FromAnnexB(b []byte) []byte {
	return fromAnnexB(b, func(n byte) bool { n &= 0x1f; return n == NALAUD || n == NALFill })
}

// fromAnnexB leaves out the NAL units whose first byte is unwanted.
func fromAnnexB(b []byte, unwanted func(byte) bool) []byte {
	code := []byte{0, 0, 1}
	start := bytes.Index(b, code)
	if start < 0 {
		return nil
	}
	out := make([]byte, 0, len(b)+16)
	for b = b[start+3:]; ; {
		next := bytes.Index(b, code)
		nalu := b
		if next >= 0 {
			nalu = b[:next]
		}
		nalu = bytes.TrimRight(nalu, "\x00") // trailing_zero_8bits; a NAL unit never ends in 0
		if len(nalu) > 0 && !unwanted(nalu[0]) {
			out = binary.BigEndian.AppendUint32(out, uint32(len(nalu)))
			out = append(out, nalu...)
		}
		if next < 0 {
			break
		}
		b = b[next+3:]
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
