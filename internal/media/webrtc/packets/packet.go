package packets

import (
	"encoding/binary"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

const (
	// HeaderSize of an RTP packet without CSRC and extensions (RFC 3550 §5.1).
	HeaderSize = 12
	// maxPacket is an RTP packet before sealing: with GCM's 16-byte tag it
	// makes 1,200 bytes, which every path carries.
	maxPacket  = 1184
	maxPayload = maxPacket - HeaderSize

	// VideoClock is in ticks a second of RTP timestamps.
	VideoClock = 90_000
	// AudioClock likewise.
	AudioClock = codec.OpusRate

	// MarkerBit of an RTP packet's second byte.
	MarkerBit = 0x80
)

// The payload structures of RFC 6184 §5.2.
const (
	nalSTAPA = 24
	nalFUA   = 28
)

// Ticks converts a time on the stream's timeline to the nearest tick of a media
// clock, modulo 2^32.
func Ticks(d time.Duration, clock int64) uint32 {
	part := (d%time.Second)*time.Duration(clock) + time.Second/2
	return uint32(int64(d/time.Second)*clock + int64(part/time.Second))
}

// Packetise cuts a picture into RTP packets (RFC 6184 packetization-mode 1) and
// appends them to dst. All share one fresh buffer. Payload type and sequence
// number are left zero for the viewer to fill in; the marker is set on the last
// packet. Only slices and parameter sets are sent: SEI, delimiters and filler
// would split the trains of equal packets and no browser needs them. The
// parameter sets, in-band or the track's, go in one STAP-A before a key frame.
func Packetise(dst [][]byte, f *frame.Frame, ssrc, ts uint32) [][]byte {
	p := packetiser{packets: dst, ssrc: ssrc, ts: ts}
	p.buf = make([]byte, 0, len(f.Payload)+(len(f.Payload)/maxPayload+8)*(HeaderSize+2)+256)
	var sets, slices [][]byte
	var store [32][]byte // most pictures fit: no allocation
	slices = store[:0]
	hasSPS := false
	for n := range codec.NALUs(f.Payload) {
		switch t := n[0] & 0x1f; {
		case t >= codec.NALSlice && t <= codec.NALIDR:
			slices = append(slices, n)
		case t == codec.NALSPS || t == codec.NALPPS:
			sets = append(sets, n)
			hasSPS = hasSPS || t == codec.NALSPS
		}
	}
	if c, ok := f.Track.Codec.(*codec.H264); ok && f.Key && !hasSPS {
		sets = append([][]byte{c.SPS, c.PPS}, sets...)
	}
	if len(slices) == 0 {
		return dst
	}
	p.sets(sets)
	for _, n := range slices {
		p.nal(n)
	}
	p.packets[len(p.packets)-1][1] |= MarkerBit
	return p.packets
}

// packetiser is the state of Packetise.
type packetiser struct {
	packets  [][]byte
	buf      []byte
	ssrc, ts uint32
}

// begin starts a packet and returns where.
func (p *packetiser) begin() int {
	at := len(p.buf)
	p.buf = append(p.buf, 0x80, 0, 0, 0)
	p.buf = binary.BigEndian.AppendUint32(p.buf, p.ts)
	p.buf = binary.BigEndian.AppendUint32(p.buf, p.ssrc)
	return at
}

func (p *packetiser) end(at int) {
	p.packets = append(p.packets, p.buf[at:len(p.buf):len(p.buf)])
}

// sets sends parameter sets as one STAP-A (RFC 6184 §5.7.1), or one by one when
// they are too long for that.
func (p *packetiser) sets(sets [][]byte) {
	size, nri := 1, byte(0)
	for _, n := range sets {
		size += 2 + len(n)
		nri = max(nri, n[0]&0x60)
	}
	if len(sets) == 0 {
		return
	}
	if size > maxPayload || len(sets) == 1 {
		for _, n := range sets {
			p.nal(n)
		}
		return
	}
	at := p.begin()
	p.buf = append(p.buf, nri|nalSTAPA)
	for _, n := range sets {
		p.buf = binary.BigEndian.AppendUint16(p.buf, uint16(len(n)))
		p.buf = append(p.buf, n...)
	}
	p.end(at)
}

// nal sends one NAL unit: whole, or as FU-A fragments of which only the last is
// shorter (RFC 6184 §5.8).
func (p *packetiser) nal(n []byte) {
	if len(n) <= maxPayload {
		at := p.begin()
		p.buf = append(p.buf, n...)
		p.end(at)
		return
	}
	const chunk = maxPayload - 2
	indicator, header := n[0]&0xe0|nalFUA, n[0]&0x1f
	for rest, start := n[1:], byte(0x80); len(rest) > 0; start = 0 {
		size, last := chunk, byte(0)
		if len(rest) <= chunk {
			size, last = len(rest), 0x40
		}
		at := p.begin()
		p.buf = append(p.buf, indicator, header|start|last)
		p.buf = append(p.buf, rest[:size]...)
		p.end(at)
		rest = rest[size:]
	}
}

// Sound makes the one RTP packet of an Opus packet (RFC 7587 §4.2); nil
// when it does not fit.
func Sound(payload []byte, ssrc, ts uint32) []byte {
	if len(payload) == 0 || len(payload) > maxPayload {
		return nil
	}
	p := packetiser{ssrc: ssrc, ts: ts, buf: make([]byte, 0, HeaderSize+len(payload))}
	p.begin()
	return append(p.buf, payload...)
}

// disposable reports whether no slice of a picture's packets is a reference
// (nal_ref_idc 0, in every NAL and FU header).
func disposable(packets [][]byte) bool {
	for _, p := range packets {
		if p[HeaderSize]&0x60 != 0 {
			return false
		}
	}
	return true
}

// Timestamp of an RTP packet.
func Timestamp(b []byte) uint32 { return binary.BigEndian.Uint32(b[4:]) }

// SetSequence patches the sequence number, which is each viewer's own.
func SetSequence(b []byte, seq uint16) { binary.BigEndian.PutUint16(b[2:], seq) }

// SetTimestamp patches the timestamp.
func SetTimestamp(b []byte, ts uint32) { binary.BigEndian.PutUint32(b[4:], ts) }

// SetPayloadType patches the payload type and keeps the marker.
func SetPayloadType(b []byte, pt uint8) { b[1] = b[1]&MarkerBit | pt }

// SetSSRC patches the source.
func SetSSRC(b []byte, ssrc uint32) { binary.BigEndian.PutUint32(b[8:], ssrc) }
