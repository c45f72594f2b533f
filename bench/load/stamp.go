package load

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// Stamp is what a publisher wrote into a picture.
type Stamp struct {
	Number uint32 // counts the publisher's pictures
	Sent   time.Time
}

// The stamp stands at the end of each picture's last slice. Nobody decodes here,
// and no server rewrites slices. It is written in hex, so that it needs no
// emulation prevention.
var stampMark = []byte("glimpse-bench-stamp:")

const (
	stampDigits = 2 * (4 + 8)
	stampSize   = 20 + stampDigits
)

// appendStamped appends an AVCC payload to dst with the stamp in its last NAL
// unit, which is made longer by pad bytes of its own first: a dearer encoder.
func appendStamped(dst, payload []byte, pad int, s Stamp) []byte {
	last, pos := 0, 0
	for pos+4 <= len(payload) {
		last = pos
		pos += 4 + int(binary.BigEndian.Uint32(payload[pos:]))
	}
	at := len(dst) + last
	dst = append(dst, payload...)
	for slice := payload[min(last+8, len(payload)):]; pad > 0 && len(slice) > 0; {
		n := min(pad, len(slice))
		dst, pad = append(dst, slice[:n]...), pad-n
	}
	dst = append(dst, stampMark...)
	raw := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, s.Number), uint64(s.Sent.UnixNano()))
	dst = hex.AppendEncode(dst, raw)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

// stamps calls found with each stamp in b and returns how many bytes are done
// with: what follows may be the beginning of another.
func stamps(b []byte, found func(Stamp)) (done int) {
	for {
		i := bytes.Index(b[done:], stampMark)
		if i < 0 {
			return max(done, len(b)-len(stampMark)+1)
		}
		if done += i; len(b) < done+stampSize {
			return done
		}
		var raw [12]byte
		if _, err := hex.Decode(raw[:], b[done+len(stampMark):done+stampSize]); err == nil {
			found(Stamp{binary.BigEndian.Uint32(raw[:]), time.Unix(0, int64(binary.BigEndian.Uint64(raw[4:])))})
		}
		done += stampSize
	}
}
