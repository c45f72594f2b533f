package transcode

import (
	"encoding/binary"
	"io"
	"time"
)

// ivfWriter writes pictures of any codec to a child in IVF: a header, then each
// picture behind its size and time. It has no index, no probing and no rounding
// to milliseconds, so a decoder begins with the first byte and gives times back
// exactly.
type ivfWriter struct {
	w   io.Writer
	buf []byte // of the frame being written: one write a picture
}

// newIVFWriter writes the header.
func newIVFWriter(w io.Writer, fourCC string, width, height int) (*ivfWriter, error) {
	h := make([]byte, 0, 32)
	h = append(h, "DKIF"...)
	h = binary.LittleEndian.AppendUint16(h, 0)
	h = binary.LittleEndian.AppendUint16(h, 32)
	h = append(h, fourCC[:4]...)
	h = binary.LittleEndian.AppendUint16(h, uint16(width))
	h = binary.LittleEndian.AppendUint16(h, uint16(height))
	h = binary.LittleEndian.AppendUint32(h, uint32(time.Second/time.Microsecond)) // ticks
	h = binary.LittleEndian.AppendUint32(h, 1)                                    // a second
	h = append(h, make([]byte, 8)...)
	_, err := w.Write(h)
	return &ivfWriter{w: w}, err
}

// write writes one picture that is shown at a time of the child's clock.
func (v *ivfWriter) write(at time.Duration, picture []byte) error {
	v.buf = binary.LittleEndian.AppendUint32(v.buf[:0], uint32(len(picture)))
	v.buf = binary.LittleEndian.AppendUint64(v.buf, uint64(at.Round(time.Microsecond)/time.Microsecond))
	v.buf = append(v.buf, picture...)
	_, err := v.w.Write(v.buf)
	return err
}
