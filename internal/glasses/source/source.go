// Package source reads MP4 and FLV files (H.264 with or without AAC) and plays
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
	audio      *frame.Track  // nil without sound
	pictures   []sample      // in decoding order; the first is a key frame with DTS 0
	sounds     []sample      // by time
	rate       int64         // of the sound, Hz
	soundStep  time.Duration // length of an access unit of sound
	period     time.Duration // after which the pictures begin again
	delay      time.Duration // from the first picture's decoding to its showing
	lengthSize int           // of the NAL unit lengths in the file
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
	if f.audio == nil {
		return []*frame.Track{f.video}
	}
	return []*frame.Track{f.video, f.audio}
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
	if f.audio == nil {
		return nil
	}
	aac := f.audio.Codec.(*codec.AAC)
	f.rate, f.soundStep = int64(aac.SampleRate), aac.FrameDuration()
	kept := f.sounds[:0]
	last = -f.soundStep
	f.delay = f.pictures[0].pts
	for _, s := range f.sounds {
		s.pts -= shift + f.delay
		if s.pts > last && s.pts < f.period {
			kept = append(kept, s)
			last = s.pts
		}
	}
	f.sounds = kept
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
