package cmaf

import (
	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

// carried returns the parameters of a track that the store can carry, nil for
// others (channels that no silence is known for).
func carried(t *frame.Track) codec.Audio {
	if t == nil {
		return nil
	}
	c, ok := t.Codec.(codec.Audio)
	if !ok {
		return nil
	}
	if silence, _ := codec.SilenceOf(c, nil); silence == nil {
		return nil
	}
	return c
}
