package codec

import (
	"fmt"

	"glimpse/internal/media/frame"
)

// Audio is what every codec of sound answers.
type Audio interface {
	frame.Codec
	// Samples is the clock rate in Hz and the length of a packet in it.
	Samples(packet []byte) (rate int, n int64)
	// Layout is the sample rate in Hz and the number of channels.
	Layout() (rate, channels int)
}

var (
	_ Audio = (*AAC)(nil)
	_ Audio = (*Opus)(nil)
)

// NewAudio parses the configuration of a codec by its name: an
// AudioSpecificConfig for "AAC", an identification header for "Opus". The bytes
// are kept.
func NewAudio(name string, config []byte) (Audio, error) {
	switch name {
	case nameAAC:
		return NewAAC(config)
	case nameOpus:
		return ParseOpusHead(config)
	}
	return nil, fmt.Errorf("sound in %s is not taken", name)
}
