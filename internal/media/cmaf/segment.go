package cmaf

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

// videoTimescale is the clock of video tracks in Hz; audio tracks use their
// sample rate.
const videoTimescale = 90000

// Init is an initialization segment: the parameters of the segments that refer
// to it. Immutable.
type Init struct {
	Number    int // counts a rendition's inits from 0
	Codec     frame.Codec
	Timescale uint32 // ticks a second
	Bytes     []byte
}

func newInit(number int, c frame.Codec) (*Init, error) {
	track := &fmp4.InitTrack{ID: 1}
	switch c := c.(type) {
	case *codec.H264:
		track.TimeScale = videoTimescale
		track.Codec = &codecs.H264{SPS: c.SPS, PPS: c.PPS}
	case *codec.AAC:
		var config mpeg4audio.AudioSpecificConfig
		if err := config.Unmarshal(c.Config); err != nil {
			return nil, fmt.Errorf("cmaf: init: %w", err)
		}
		track.TimeScale = uint32(c.SampleRate)
		track.Codec = &codecs.MPEG4Audio{Config: config}
	default:
		return nil, fmt.Errorf("cmaf: init: %s is not supported", c.Name())
	}
	var buf seekablebuffer.Buffer
	if err := (fmp4.Init{Tracks: []*fmp4.InitTrack{track}}).Marshal(&buf); err != nil {
		return nil, fmt.Errorf("cmaf: init: %w", err)
	}
	return &Init{Number: number, Codec: c, Timescale: track.TimeScale, Bytes: bytes.Clone(buf.Bytes())}, nil
}

// Part is a partial segment: one moof and its mdat. Immutable to its readers;
// all methods may be called concurrently.
type Part struct {
	Time        uint64        // ticks; the decoding time of its first sample (tfdt)
	Ticks       uint64        // length
	Duration    time.Duration // the same, rounded
	Independent bool          // it begins with a key frame, or is sound
	Size        int           // bytes
	Frames      int           // access units

	video    bool
	sequence uint32
	once     sync.Once
	samples  []sample // until joined
	data     []byte
}

// Bytes returns the part. The first call joins it; the slice is shared and
// read-only.
func (p *Part) Bytes() []byte {
	p.once.Do(func() {
		b := make([]byte, 0, p.Size)
		b = appendMoof(b, p.video, p.sequence, p.Time, p.samples, p.Size-moofSize(p.video, len(p.samples))-mdatHeader)
		for i := range p.samples {
			b = append(b, p.samples[i].payload...)
		}
		p.data, p.samples = b, nil
	})
	return p.data
}

// Segment is a run of parts from one cut to the next. Immutable.
type Segment struct {
	Number   uint64 // media sequence number
	Init     *Init
	Time     uint64        // ticks; the decoding time of its first sample
	Ticks    uint64        // length so far
	Duration time.Duration // the same, rounded
	Wall     time.Time     // wall clock of Time
	Parts    []*Part
	Size     int  // bytes
	Key      bool // it begins with a key frame, or is sound
	Closed   bool // no part follows
	Lead     bool // it is the lead: a still picture and silence
	// Discontinuity says that timestamps or parameters do not follow from the
	// segment before; Discontinuities counts those of the rendition so far.
	Discontinuity   bool
	Discontinuities uint64
	Since           uint64 // Time of the segment of the latest discontinuity, or of the run's first
}

// ticks converts a time to ticks of a clock, rounded to the nearest. Negative
// times are 0.
func ticks(t time.Duration, rate uint32) uint64 {
	if t < 0 {
		return 0
	}
	s, ns := uint64(t/time.Second), uint64(t%time.Second)
	return s*uint64(rate) + (ns*uint64(rate)+5e8)/1e9
}

// duration is the inverse of ticks.
func duration(n uint64, rate uint32) time.Duration {
	s, rest := n/uint64(rate), n%uint64(rate)
	return time.Duration(s)*time.Second + time.Duration((rest*1e9+uint64(rate)/2)/uint64(rate))
}
