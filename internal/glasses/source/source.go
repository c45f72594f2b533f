// Package source reads MP4 and FLV files (H.264 with AAC, Opus, both or neither) and plays
// them for ever on one unbroken timeline, as a camera would deliver them.
//
// A File is an index of where the samples lie, made once and read-only: any
// number of Players walk it side by side, each for one goroutine. Payloads are
// read from the file when they are due, so a long film costs no memory.
//
// Files come from strangers: every count, size and time in them is checked
// against fixed limits or the size of the file before memory is taken.
package source

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

// The limits of a file.
const (
	maxSamples    = 2 << 20            // of a track: 19 hours at 30 a second
	maxSampleSize = 8 << 20            // bytes of one picture
	maxLength     = 7 * 24 * time.Hour // of a track
)

// ErrFormat is wrapped by every error that says what is wrong with a file's
// contents.
var ErrFormat = errors.New("cannot play this file")

// malformed makes an error that wraps ErrFormat.
func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(format, args...))
}

// sample says where an access unit lies and when it is due.
type sample struct {
	offset   int64
	size     uint32
	key      bool
	dts, pts time.Duration
}

// File is an opened, indexed film. It is safe for any number of Players.
type File struct {
	r          io.ReaderAt
	close      func() error
	video      *frame.Track
	pictures   []sample      // in decoding order; the first is a key frame with DTS 0
	sound      sound         // that is played
	sounds     []sound       // all there are, one for each codec
	period     time.Duration // after which the pictures begin again
	delay      time.Duration // from the first picture's decoding to its showing
	lengthSize int           // of the NAL unit lengths in the file
}

// sound is a film's sound in one codec.
type sound struct {
	track   *frame.Track  // nil without sound
	samples []sample      // by time
	rate    int64         // Hz
	unit    int64         // samples of an access unit
	step    time.Duration // length of an access unit
}

// WithSound returns the film with its sound in the codec of that name, or without
// sound when it has none in it. It shares everything else with f, whose it stays.
func (f *File) WithSound(codec string) *File {
	g := *f
	g.sound = sound{}
	for _, s := range f.sounds {
		if s.track.Codec.Name() == codec {
			g.sound = s
		}
	}
	return &g
}

// Open opens and indexes a file: MP4 or FLV, told apart by its first bytes.
// Close it when the last Player is done.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open source: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open source: %w", err)
	}
	file, err := Read(f, st.Size())
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	file.close = f.Close
	return file, nil
}

// Read indexes a film of size bytes in r, which must stay readable while
// Players are at work.
func Read(r io.ReaderAt, size int64) (*File, error) {
	var magic [8]byte
	if size < int64(len(magic)) {
		return nil, malformed("it is too short")
	}
	if _, err := r.ReadAt(magic[:], 0); err != nil {
		return nil, fmt.Errorf("read source: %w", err)
	}
	f := &File{r: r, close: func() error { return nil }}
	var err error
	switch {
	case string(magic[:3]) == "FLV":
		err = f.indexFLV(size)
	case string(magic[4:8]) == "ftyp" || string(magic[4:8]) == "moov":
		err = f.indexMP4(size)
	default:
		err = malformed("it is neither MP4 nor FLV")
	}
	if err != nil {
		return nil, err
	}
	if err := f.normalise(); err != nil {
		return nil, err
	}
	return f, nil
}

// Close closes what Open opened.
func (f *File) Close() error { return f.close() }

// Tracks are the file's tracks: video first, then audio if there is any.
func (f *File) Tracks() []*frame.Track {
	if f.sound.track == nil {
		return []*frame.Track{f.video}
	}
	return []*frame.Track{f.video, f.sound.track}
}

// Period is the time after which the film begins again.
func (f *File) Period() time.Duration { return f.period }

// normalise puts the first key frame at DTS 0, drops what lies before it and
// makes decoding times strictly increasing, which players of the wire demand.
func (f *File) normalise() error {
	for len(f.pictures) > 0 && !f.pictures[0].key {
		f.pictures = f.pictures[1:]
	}
	if len(f.pictures) == 0 {
		return malformed("it has no H.264 key frame")
	}
	shift := f.pictures[0].dts
	last := time.Duration(-1)
	for i := range f.pictures {
		s := &f.pictures[i]
		s.dts -= shift
		s.pts -= shift
		if s.dts <= last {
			s.dts = last + time.Millisecond
		}
		if s.pts < s.dts {
			s.pts = s.dts
		}
		last = s.dts
	}
	if f.period -= shift; f.period <= last {
		f.period = last + f.meanStep(last)
	}
	f.delay = f.pictures[0].pts
	for i := range f.sounds {
		f.sounds[i].normalise(shift+f.delay, f.period)
	}
	if len(f.sounds) > 0 {
		f.sound = f.sounds[0]
	}
	return nil
}

// normalise puts the sound's times on the film's, and drops what lies outside it.
func (s *sound) normalise(shift, period time.Duration) {
	kept := s.samples[:0]
	last := -s.step
	for _, unit := range s.samples {
		unit.pts -= shift
		if unit.pts > last && unit.pts < period {
			kept = append(kept, unit)
			last = unit.pts
		}
	}
	s.samples = kept
}

// addSound takes the sound of a codec, the first one of each; AAC stands first.
func (f *File) addSound(c frame.Codec, samples []sample) error {
	s := sound{track: &frame.Track{Codec: c}, samples: samples}
	switch c := c.(type) {
	case *codec.AAC:
		s.rate, s.unit = int64(c.SampleRate), codec.AACFrameSamples
	case *codec.Opus:
		packet, err := f.payload(samples[0], false)
		if err != nil {
			return err
		}
		if s.rate, s.unit = codec.OpusRate, codec.OpusSamples(packet); s.unit <= 0 {
			return malformed("its Opus sound begins with a broken packet")
		}
	}
	s.step = time.Duration(s.unit) * time.Second / time.Duration(s.rate)
	for _, other := range f.sounds {
		if other.track.Codec.Name() == c.Name() {
			return nil
		}
	}
	f.sounds = append(f.sounds, s)
	slices.SortStableFunc(f.sounds, func(a, b sound) int { return strings.Compare(a.track.Codec.Name(), b.track.Codec.Name()) })
	return nil
}

// meanStep is the mean distance of pictures: the length of the last one when
// the file does not say.
func (f *File) meanStep(last time.Duration) time.Duration {
	if len(f.pictures) < 2 {
		return time.Second / 30
	}
	return last / time.Duration(len(f.pictures)-1)
}

// payload reads a sample into fresh bytes, pictures with 4-byte lengths.
func (f *File) payload(s sample, video bool) ([]byte, error) {
	b := make([]byte, s.size)
	if _, err := f.r.ReadAt(b, s.offset); err != nil {
		return nil, fmt.Errorf("read source: %w", err)
	}
	if !video {
		return b, nil
	}
	b = codec.WidenLengths(b, f.lengthSize)
	if !codec.ValidAVCC(b) {
		return nil, malformed("a picture is not a sequence of NAL units")
	}
	return b, nil
}
