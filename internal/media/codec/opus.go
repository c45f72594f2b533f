package codec

import "glimpse/internal/media/frame"

// OpusRate is the clock of Opus, whatever was encoded (RFC 6716 §2).
const OpusRate = 48000

// Opus is an Opus track.
type Opus struct {
	Channels int // 1 or 2
}

var _ frame.Codec = (*Opus)(nil)

// Kind is frame.Audio.
func (c *Opus) Kind() frame.Kind { return frame.Audio }

// Name is "Opus".
func (c *Opus) Name() string { return "Opus" }

// MIME is "opus".
func (c *Opus) MIME() string { return "opus" }

// ChannelCount is 1 or 2.
func (c *Opus) ChannelCount() int { return c.Channels }

// Samples is the clock rate and the length of a packet in it.
func (c *Opus) Samples(packet []byte) (rate int, n int64) { return OpusRate, OpusSamples(packet) }

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
