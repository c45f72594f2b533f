package cmaf

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	mp4codecs "github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/mp4"
)

// videoTimescale is the clock of video tracks in Hz; audio tracks use their
// sample rate.
const videoTimescale = mp4.VideoTimescale

// Init is an initialization segment: the parameters of the segments that refer
// to it. Immutable.
type Init struct {
	Number    int // counts a rendition's inits from 0
	Codec     frame.Codec
	Timescale uint32 // ticks a second
	Bytes     []byte
}

// mapped is a codec that MP4 carries.
type mapped interface {
	frame.Codec
	MP4Codec() mp4codecs.Codec
}

func newInit(number int, c frame.Codec) (*Init, error) {
	m, ok := c.(mapped)
	if !ok {
		return nil, fmt.Errorf("cmaf: init: %s is not supported", c.Name())
	}
	track := &fmp4.InitTrack{ID: 1, TimeScale: videoTimescale, Codec: m.MP4Codec()}
	if sound, ok := c.(codec.Audio); ok {
		rate, _ := sound.Layout()
		track.TimeScale = uint32(rate)
	}
	var buf seekablebuffer.Buffer
	if err := (fmp4.Init{Tracks: []*fmp4.InitTrack{track}}).Marshal(&buf); err != nil {
		return nil, fmt.Errorf("cmaf: init: %w", err)
	}
	// The library's name for H.265 says that parameters may come in-band alone;
	// Apple's players refuse it, and these are in the init.
	b := bytes.Replace(buf.Bytes(), []byte("hev1"), []byte("hvc1"), 1)
	return &Init{Number: number, Codec: c, Timescale: track.TimeScale, Bytes: b}, nil
}

// sample is one access unit in a track's time scale.
type sample struct {
	payload  []byte // shared with the hub's frame
	duration uint32 // ticks
	offset   int32  // presentation minus decoding time, ticks
	key      bool
	void     bool // silence in the place of sound that is not converted yet
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
	void     bool // it has samples that are
	once     sync.Once
	samples  []sample // until joined or replaced
	data     []byte
	instead  *Part // what replaced it
}

// Bytes returns the part. The first call joins it; the slice is shared and
// read-only.
func (p *Part) Bytes() []byte {
	p.once.Do(func() {
		var table [24]mp4.Sample // on the stack, as most parts fit
		run := [1]mp4.Run{{Time: p.Time, Samples: table[:0]}}
		for i := range p.samples {
			s := &p.samples[i]
			run[0].Samples = append(run[0].Samples, mp4.Sample{Size: uint32(len(s.payload)), Duration: s.duration, Offset: s.offset, Key: s.key})
		}
		track := [1]mp4.Track{{ID: 1, Video: p.video}}
		b := mp4.AppendFragment(make([]byte, 0, p.Size), p.sequence, track[:], run[:])
		for i := range p.samples {
			b = append(b, p.samples[i].payload...)
		}
		p.data, p.samples = b, nil
	})
	if p.instead != nil {
		return p.instead.Bytes()
	}
	return p.data
}

// replace puts another part in the place of this one, for those who have it
// already too, and returns it; the same part when its bytes were handed out.
func (p *Part) replace(by func([]sample) *Part) *Part {
	p.once.Do(func() { p.instead, p.samples = by(p.samples), nil })
	if p.instead != nil {
		return p.instead
	}
	return p
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

	void bool // it has parts that are
}

// end of the segment, so far.
func (s *Segment) end() time.Duration { return duration(s.Time+s.Ticks, s.Init.Timescale) }

// ticks converts a time to ticks of a clock, rounded to the nearest. Negative
// times are 0.
func ticks(t time.Duration, rate uint32) uint64 { return mp4.Ticks(t, rate) }

// duration is the inverse of ticks.
func duration(n uint64, rate uint32) time.Duration { return mp4.Duration(n, rate) }
