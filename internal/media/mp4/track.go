package mp4

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	mp4codecs "github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

// VideoTimescale is the clock of pictures in Hz; sound has its sample rate.
const VideoTimescale = 90000

// Track is one track's parameters.
type Track struct {
	ID            uint32
	Video         bool
	Timescale     uint32 // ticks a second
	Width, Height int
	// Entries are the sample entries (stsd) that its samples use, oldest first.
	Entries [][]byte
}

// NewTrack makes a track of a codec. Errors: a codec that MP4 does not carry.
func NewTrack(id uint32, c frame.Codec) (Track, error) {
	t := Track{ID: id, Timescale: VideoTimescale}
	entry, err := Entry(c)
	if err != nil {
		return t, err
	}
	t.Entries = [][]byte{entry}
	switch c := c.(type) {
	case codec.Video:
		t.Video = true
		t.Width, t.Height = c.Size()
	case codec.Audio:
		rate, _ := c.Layout()
		t.Timescale = uint32(rate)
	}
	return t, nil
}

// Entry is a codec's sample entry.
func Entry(c frame.Codec) ([]byte, error) {
	m, ok := c.(interface{ MP4Codec() mp4codecs.Codec })
	if !ok {
		return nil, fmt.Errorf("mp4: %s is not carried", c.Name())
	}
	var buf seekablebuffer.Buffer
	one := &fmp4.InitTrack{ID: 1, TimeScale: VideoTimescale, Codec: m.MP4Codec()}
	if err := (fmp4.Init{Tracks: []*fmp4.InitTrack{one}}).Marshal(&buf); err != nil {
		return nil, fmt.Errorf("mp4: %w", err)
	}
	stsd := find(buf.Bytes(), "moov", "trak", "mdia", "minf", "stbl", "stsd")
	if len(stsd) < 16 {
		return nil, fmt.Errorf("mp4: no sample entry for %s", c.Name())
	}
	entry := bytes.Clone(stsd[8:])
	if string(entry[4:8]) == "hev1" { // parameters stand in the entry: Apple's players insist on this name then
		copy(entry[4:], "hvc1")
	}
	return entry, nil
}

// Use makes an entry one of the track's and returns its place; an equal one is
// not added again.
func (t *Track) Use(entry []byte) int {
	for i, e := range t.Entries {
		if bytes.Equal(e, entry) {
			return i
		}
	}
	t.Entries = append(slices.Clip(t.Entries), entry)
	return len(t.Entries) - 1
}

// SameKind reports whether an entry is of the track's codec: readers take only
// one codec a track.
func (t *Track) SameKind(entry []byte) bool {
	return len(t.Entries) > 0 && string(t.Entries[0][4:8]) == string(entry[4:8])
}

// Ticks converts a time to ticks of the track's clock; see Ticks.
func (t *Track) Ticks(d time.Duration) uint64 { return Ticks(d, t.Timescale) }

// Time is the inverse of Ticks.
func (t *Track) Time(ticks uint64) time.Duration { return Duration(ticks, t.Timescale) }

// Ticks converts a time to ticks of a clock of rate Hz, rounded to the nearest.
// Negative times are 0.
func Ticks(d time.Duration, rate uint32) uint64 {
	if d < 0 {
		return 0
	}
	s, ns := uint64(d/time.Second), uint64(d%time.Second)
	return s*uint64(rate) + (ns*uint64(rate)+5e8)/1e9
}

// Duration is the inverse of Ticks.
func Duration(ticks uint64, rate uint32) time.Duration {
	s, rest := ticks/uint64(rate), ticks%uint64(rate)
	return time.Duration(s)*time.Second + time.Duration((rest*1e9+uint64(rate)/2)/uint64(rate))
}
