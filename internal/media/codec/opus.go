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
