package transcode

import (
	"encoding/binary"
	"io"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

// Flags of a page (RFC 3533 §6).
const oggFirst = 2

// oggWriter writes Opus in Ogg (RFC 7845), a page for each packet, so that
// nothing is held back. One Write call a packet.
type oggWriter struct {
	w        io.Writer
	buf      []byte
	sequence uint32
	crc      [256]uint32
}

// openOgg writes the two headers. Nothing is skipped: sound that was not made by
// an encoder of ours says nothing of its priming.
func openOgg(w io.Writer, t *frame.Track) (frameWriter, error) {
	o := &oggWriter{w: w}
	for i := range o.crc {
		c := uint32(i) << 24
		for range 8 {
			c = c<<1 ^ (c>>31)*0x04c11db7
		}
		o.crc[i] = c
	}
	channels := 2
	if c, ok := t.Codec.(channelled); ok {
		channels = c.ChannelCount()
	}
	head := []byte{'O', 'p', 'u', 's', 'H', 'e', 'a', 'd', 1, byte(channels), 0, 0}
	head = binary.LittleEndian.AppendUint32(head, codec.OpusRate)
	if err := o.page(oggFirst, 0, append(head, 0, 0, 0)); err != nil {
		return nil, err
	}
	return o, o.page(0, 0, append([]byte("OpusTags"), make([]byte, 8)...))
}

// WriteFrame writes a packet that begins at the frame's PTS.
func (o *oggWriter) WriteFrame(f *frame.Frame) error {
	whole, part := f.PTS/time.Second, f.PTS%time.Second
	begin := whole*codec.OpusRate + (part*codec.OpusRate+time.Second/2)/time.Second
	return o.page(0, uint64(begin)+uint64(codec.OpusSamples(f.Payload)), f.Payload)
}

// page writes a page of one packet, at most 65,024 bytes (255 lacing values).
func (o *oggWriter) page(flags byte, granule uint64, packet []byte) error {
	packet = packet[:min(len(packet), 255*255-1)]
	b := append(o.buf[:0], 'O', 'g', 'g', 'S', 0, flags)
	b = binary.LittleEndian.AppendUint64(b, granule)
	b = binary.LittleEndian.AppendUint32(b, 1) // the stream's serial number
	b = binary.LittleEndian.AppendUint32(b, o.sequence)
	laces := len(packet)/255 + 1
	b = append(b, 0, 0, 0, 0, byte(laces))
	for range laces - 1 {
		b = append(b, 255)
	}
	b = append(append(b, byte(len(packet)%255)), packet...)
	crc := uint32(0)
	for _, c := range b {
		crc = crc<<8 ^ o.crc[byte(crc>>24)^c]
	}
	binary.LittleEndian.PutUint32(b[22:], crc)
	o.buf, o.sequence = b, o.sequence+1
	_, err := o.w.Write(b)
	return err
}
