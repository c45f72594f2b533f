package codec

import (
	"encoding/binary"
	"errors"
	"fmt"

	"glimpse/internal/media/frame"
)

// OpusRate is the clock of Opus, whatever was encoded (RFC 6716 §2).
const OpusRate = 48000

// Opus is an Opus track.
type Opus struct {
	Channels int // 1 or 2
}

// opusPreSkip is what decoders throw away at the beginning, in samples: what
// encoders commonly need (RFC 7845 §5.1).
const opusPreSkip = 312

// ParseOpusHead reads an identification header (RFC 7845 §5.1). Streams of more
// than two channels are not taken.
func ParseOpusHead(b []byte) (*Opus, error) {
	if len(b) < 19 || string(b[:8]) != "OpusHead" || b[8]>>4 != 0 {
		return nil, errors.New("opus: no identification header")
	}
	c := &Opus{Channels: int(b[9])}
	if c.Channels < 1 || c.Channels > 2 || b[18] != 0 {
		return nil, fmt.Errorf("opus: %d channels, mapping %d; 1 or 2 channels are taken", c.Channels, b[18])
	}
	return c, nil
}

// Head is the identification header (RFC 7845 §5.1): the sequence header of
// enhanced FLV, and what Ogg begins with.
func (c *Opus) Head() []byte {
	b := append([]byte("OpusHead"), 1, byte(c.Channels))
	b = binary.LittleEndian.AppendUint16(b, opusPreSkip)
	b = binary.LittleEndian.AppendUint32(b, OpusRate)
	return append(b, 0, 0, 0) // no gain, mapping family 0
}

// Kind is frame.Audio.
func (c *Opus) Kind() frame.Kind { return frame.Audio }

// Name is "Opus".
func (c *Opus) Name() string { return nameOpus }

// MIME is "opus".
func (c *Opus) MIME() string { return "opus" }

// ChannelCount is 1 or 2.
func (c *Opus) ChannelCount() int { return c.Channels }

// Samples is the clock rate and the length of a packet in it.
func (c *Opus) Samples(packet []byte) (rate int, n int64) { return OpusRate, OpusSamples(packet) }

// Layout is OpusRate and the number of channels.
func (c *Opus) Layout() (rate, channels int) { return OpusRate, c.Channels }

// FLVConfig is the body of the sequence header of Enhanced RTMP.
func (c *Opus) FLVConfig() []byte { return exConfig(exAudio, "Opus", c.Head()) }

// AppendFLV appends what stands before a packet in its tag.
func (c *Opus) AppendFLV(b []byte, _ bool, _ int32) []byte {
	return append(append(b, exAudio|packetFrames), "Opus"...)
}

// FLVMetadata gives the properties of onMetaData.
func (c *Opus) FLVMetadata(set func(name string, v float64)) {
	set("audiocodecid", exNumber("Opus"))
	set("audiosamplerate", OpusRate)
	set("audiosamplesize", 16)
	set("audiochannels", float64(c.Channels))
}

// OpusSamples is the length of a packet at OpusRate, from its first byte and
// frame count (RFC 6716 §3.1). Malformed packets count as 20 ms.
func OpusSamples(packet []byte) int64 {
	const ms20 = OpusRate / 50
	if len(packet) == 0 {
		return ms20
	}
	config, frames := packet[0]>>3, int64(1)
	switch packet[0] & 3 {
	case 1, 2:
		frames = 2
	case 3:
		if len(packet) < 2 {
			return ms20
		}
		frames = int64(packet[1] & 0x3f)
	}
	var size int64 // of a frame, in units of 2.5 ms
	switch {
	case config < 12: // SILK: 10, 20, 40, 60 ms
		size = [...]int64{4, 8, 16, 24}[config&3]
	case config < 16: // hybrid: 10, 20 ms
		size = [...]int64{4, 8}[config&1]
	default: // CELT: 2.5, 5, 10, 20 ms
		size = 1 << (config & 3)
	}
	n := frames * size * OpusRate / 400
	if n == 0 || n > OpusRate*120/1000 { // a packet holds at most 120 ms
		return ms20
	}
	return n
}
