package live

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
)

// Sizes on the wire (§3).
const (
	headerSize    = 16
	handshakeSize = 48
	maxPacket     = 1500 - 28 // what fits an Ethernet frame behind IP and UDP
	// MaxPayload of a packet in bytes.
	MaxPayload = maxPacket - headerSize
	seqMask    = 1<<31 - 1
)

// control types (§3.2, table 1).
const (
	typeHandshake = 0
	typeKeepAlive = 1
	typeACK       = 2
	typeNAK       = 3
	typeShutdown  = 5
	typeACKACK    = 6
	typeUser      = 0x7fff // with a subtype: key material outside of a handshake
)

// header is the first 16 bytes of a packet.
type header struct {
	control bool
	kind    uint16 // of control packets
	subtype uint16
	info    uint32 // type-specific information of control packets
	seq     uint32 // of data packets
	flags   byte   // of data packets: position, order, keys, retransmitted
	stamp   uint32 // µs, wraps after 71 minutes
	to      uint32 // socket id; 0 for handshakes with a listener
}

// Flags of a data packet, in the first byte of the message number's word.
const (
	flagSolo   = 0xc0 // the whole message
	flagEven   = 0x08 // which key encrypts it
	flagOdd    = 0x10
	flagKeys   = flagEven | flagOdd
	flagResent = 0x04
)

// parseHeader reads a header; b has at least headerSize bytes.
func parseHeader(b []byte) header {
	h := header{stamp: binary.BigEndian.Uint32(b[8:]), to: binary.BigEndian.Uint32(b[12:])}
	if h.control = b[0]&0x80 != 0; h.control {
		h.kind, h.subtype = binary.BigEndian.Uint16(b)&0x7fff, binary.BigEndian.Uint16(b[2:])
		h.info = binary.BigEndian.Uint32(b[4:])
		return h
	}
	h.seq, h.flags = binary.BigEndian.Uint32(b)&seqMask, b[4]
	return h
}

// appendControl appends the header of a control packet.
func appendControl(b []byte, kind, subtype uint16, info, stamp, to uint32) []byte {
	b = binary.BigEndian.AppendUint16(b, kind|0x8000)
	b = binary.BigEndian.AppendUint16(b, subtype)
	b = binary.BigEndian.AppendUint32(b, info)
	b = binary.BigEndian.AppendUint32(b, stamp)
	return binary.BigEndian.AppendUint32(b, to)
}

// distance from b to a in the 31 bits of sequence numbers; negative when a is
// before b.
func distance(a, b uint32) int { return int(int32((a-b)<<1) >> 1) }

// Handshake types (§3.2.1, table 4); beyond 1000 they say why not.
const (
	induction  = 1
	conclusion = 0xffffffff
)

// Extensions of a handshake (§3.2.1, table 5), and what the flags say of them.
const (
	extHello    = 1
	extHelloAck = 2
	extKeys     = 3
	extKeysAck  = 4
	extStreamID = 5
	extControl  = 6 // congestion control

	hasHello  = 1
	hasKeys   = 2
	hasConfig = 4

	magic = 0x4a17 // of an induction's answer
)

// The version that we say we are, and the flags that live mode needs (§3.2.1.1.1):
// timed delivery both ways, encryption understood, late packets dropped, periodic
// loss reports, the retransmission flag; never streams of bytes.
const (
	version      = 0x010500
	minVersion   = 0x010200
	helloFlags   = 0x3f
	neededFlags  = 0x3f &^ 0x04
	flagByteMode = 0x40
)

// handshake is a parsed handshake (§3.2.1). Times are milliseconds.
type handshake struct {
	version    uint32
	encryption uint16
	extensions uint16
	seq        uint32
	mtu        uint32
	window     uint32
	kind       uint32
	socket     uint32
	cookie     uint32
	peer       netip.Addr

	hello     bool
	srt       uint32
	flags     uint32
	recvDelay uint16
	sendDelay uint16
	keys      []byte // key material; points into the packet
	streamID  string
}

var (
	errShort     = errors.New("handshake is cut short")
	errExtension = errors.New("malformed handshake extension")
)

// parseHandshake reads the fixed part alone.
func parseHandshake(b []byte) (handshake, error) {
	if len(b) < handshakeSize {
		return handshake{}, errShort
	}
	word := func(i int) uint32 { return binary.BigEndian.Uint32(b[i:]) }
	return handshake{
		version: word(0), encryption: uint16(word(4) >> 16), extensions: uint16(word(4)), seq: word(8) & seqMask,
		mtu: word(12), window: word(16), kind: word(20), socket: word(24), cookie: word(28),
	}, nil
}

// extend reads the extensions behind the fixed part, each known one at most once.
func (h *handshake) extend(b []byte) error {
	seen := 0
	for len(b) > 0 {
		if len(b) < 4 {
			return errExtension
		}
		kind, n := binary.BigEndian.Uint16(b), 4*int(binary.BigEndian.Uint16(b[2:]))
		if b = b[4:]; n > len(b) {
			return errExtension
		}
		body := b[:n]
		b = b[n:]
		if kind <= extControl {
			if seen&(1<<kind) != 0 {
				return errExtension
			}
			seen |= 1 << kind
		}
		switch kind {
		case extHello, extHelloAck:
			if n != 12 {
				return errExtension
			}
			h.hello, h.srt, h.flags = true, binary.BigEndian.Uint32(body), binary.BigEndian.Uint32(body[4:])
			h.recvDelay, h.sendDelay = binary.BigEndian.Uint16(body[8:]), binary.BigEndian.Uint16(body[10:])
		case extKeys, extKeysAck:
			h.keys = body
		case extStreamID:
			if n > 512 {
				return errExtension
			}
			h.streamID = text(body)
		case extControl:
			if s := text(body); s != "live" {
				return errExtension
			}
		}
	}
	return nil
}

// append writes the handshake with its extensions; answer says whose it is.
func (h *handshake) append(b []byte, answer bool) []byte {
	put := func(v uint32) { b = binary.BigEndian.AppendUint32(b, v) }
	for _, v := range [...]uint32{
		h.version, uint32(h.encryption)<<16 | uint32(h.extensions), h.seq, h.mtu, h.window, h.kind, h.socket, h.cookie,
	} {
		put(v)
	}
	b = append(b, make([]byte, 16)...)
	if a := h.peer.Unmap(); a.Is4() { // each word in the other order (§3.2.1)
		raw := a.As4()
		copy(b[len(b)-16:], []byte{raw[3], raw[2], raw[1], raw[0]})
	}
	ack := uint32(0)
	if answer {
		ack = 1
	}
	if h.hello {
		put((extHello+ack)<<16 | 3)
		put(h.srt)
		put(h.flags)
		put(uint32(h.recvDelay)<<16 | uint32(h.sendDelay))
	}
	if len(h.keys) > 0 {
		put((extKeys+ack)<<16 | uint32(len(h.keys)/4))
		b = append(b, h.keys...)
	}
	if h.streamID != "" && !answer {
		words := turned([]byte(h.streamID))
		put(extStreamID<<16 | uint32(len(words)/4))
		b = append(b, words...)
	}
	return b
}

// text is a string that was sent as words in the other order.
func text(b []byte) string { return strings.TrimRight(string(turned(b)), "\x00") }

// turned turns each four bytes round; what is missing at the end is zero.
func turned(b []byte) []byte {
	out := make([]byte, (len(b)+3)&^3)
	for i, v := range b {
		out[i^3] = v
	}
	return out
}

// appendRange appends a loss as a number or as two (appendix A).
func appendRange(list []uint32, from, to uint32) []uint32 {
	if from == to {
		return append(list, from)
	}
	return append(list, from|1<<31, to)
}
