package cmaf

import (
	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

// The raw AAC-LC access units that decode to silence at any sample rate.
var (
	silenceMono   = []byte{0x00, 0x00, 0x00, 0x07}
	silenceStereo = []byte{0x21, 0x00, 0x00, 0x00, 0x00, 0x1c}
	silence51     = []byte{
		0x00, 0x00, 0x00, 0x01, 0x08, 0x00, 0x00, 0x00, 0x00, 0x23,
		0x00, 0x00, 0x00, 0x00, 0x0c, 0x00, 0x00, 0x00, 0xe0,
	}
)

// silence returns an access unit of silence for a configuration, nil when there
// is none for its channels.
func silence(c *codec.AAC) []byte {
	switch c.Channels {
	case 1:
		return silenceMono
	case 2:
		return silenceStereo
	case 6:
		return silence51
	}
	return nil
}

// carried returns the AAC parameters of a track that the store can carry, nil
// for others (Opus, or channels that no silence is known for).
func carried(t *frame.Track) *codec.AAC {
	if t == nil {
		return nil
	}
	if c, ok := t.Codec.(*codec.AAC); ok && silence(c) != nil {
		return c
	}
	return nil
}
