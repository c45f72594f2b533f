package srt

import (
	"slices"
	"sync"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	tscodecs "github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"

	"glimpse/internal/media/frame"
)

// carried is a codec that an MPEG-TS can hold; packages of codecs decide.
type carried interface {
	frame.Codec
	TSCodec() tscodecs.Codec
	WriteTS(w *mpegts.Writer, t *mpegts.Track, f *frame.Frame) error
}

// What a program keeps of what it made: enough for readers that are not quite in
// step, and for one that joins at the newest key frame.
const (
	keptFrames = 256
	keptBytes  = 2 << 20
)

// program is an MPEG-TS of two tracks at most, made once for all who read it: the
// packets of a frame are the same for everybody but for their continuity counters,
// which are the reader's own (see mediaWriter). New parameters of a picture go
// in-band. May be used by any number of goroutines.
type program struct {
	video, audio *frame.Track // that the tables announce; nil without
	keep         int          // bytes

	mu     sync.Mutex
	ts     *mpegts.Writer
	tracks map[frame.Kind]*mpegts.Track
	buf    []byte
	made   []made // oldest first
	bytes  int    // of made
}

// made is a frame and its packets.
type made struct {
	frame   *frame.Frame
	packets []byte
}

// newProgram begins one with these tracks, each of which may be nil or of a codec
// that MPEG-TS does not hold here. It keeps about so many bytes.
func newProgram(video, audio *frame.Track, keep int) (*program, error) {
	p := &program{video: video, audio: audio, keep: keep, tracks: map[frame.Kind]*mpegts.Track{}}
	p.ts = &mpegts.Writer{W: p}
	for _, t := range []*frame.Track{video, audio} {
		if t == nil {
			continue
		}
		if c, ok := t.Codec.(carried); ok {
			track := &mpegts.Track{Codec: c.TSCodec()}
			p.tracks[t.Kind()] = track
			p.ts.Tracks = append(p.ts.Tracks, track)
		}
	}
	return p, p.ts.Initialize()
}

// holds reports whether frames of this track have a place in the program.
func (p *program) holds(t *frame.Track) bool {
	if t.Kind() == frame.Audio {
		return t == p.audio
	}
	return p.video != nil && p.video.Codec.Name() == t.Codec.Name()
}

// Write collects what the library makes.
func (p *program) Write(b []byte) (int, error) {
	p.buf = append(p.buf, b...)
	return len(b), nil
}

// packets are those of a frame that the program holds, before key frames with the
// tables. They are shared: read-only. Whoever asks first makes them. Of a program that
// keeps nothing they are valid until the next call.
func (p *program) packets(f *frame.Frame) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.made) - 1; i >= 0; i-- {
		if p.made[i].frame == f {
			return p.made[i].packets, nil
		}
	}
	c, ok := f.Track.Codec.(carried)
	if !ok {
		return nil, nil
	}
	p.buf = p.buf[:0]
	if err := c.WriteTS(p.ts, p.tracks[f.Track.Kind()], f); err != nil {
		return nil, err
	}
	if p.keep == 0 {
		return p.buf, nil
	}
	p.trim(len(p.buf))
	b := slices.Clone(p.buf)
	p.made, p.bytes = append(p.made, made{f, b}), p.bytes+len(b)
	return b, nil
}

// trim makes place for more bytes. The head is given up by slicing; append copies
// what is left when the array is used up.
func (p *program) trim(more int) {
	n := 0
	for n < len(p.made) && (p.bytes+more > p.keep || len(p.made)-n >= keptFrames) {
		p.bytes -= len(p.made[n].packets)
		n++
	}
	clear(p.made[:n])
	p.made = p.made[n:]
}

// alone opens a program for one writer, which asks for each frame once.
func alone(video, audio *frame.Track) (*program, func(), error) {
	p, err := newProgram(video, audio, 0)
	return p, func() {}, err
}

// programs are those that are being read, by stream and tracks. May be used by any
// number of goroutines.
type programs struct {
	mu sync.Mutex
	by map[programKey]*shared
}

// programKey says what is in a program. Pictures of other parameters do not change
// it; another sound does.
type programKey struct {
	name  string // the stream's playback id
	video string // its codec
	audio *frame.Track
}

type shared struct {
	*program
	readers int
}

// open returns how readers of a stream open a program: that of whoever else is sent
// the same. Each must close it.
func (l *programs) open(name string) func(video, audio *frame.Track) (*program, func(), error) {
	return func(video, audio *frame.Track) (*program, func(), error) {
		key := programKey{name: name, audio: audio}
		if video != nil {
			key.video = video.Codec.Name()
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		s := l.by[key]
		if s == nil {
			p, err := newProgram(video, audio, keptBytes)
			if err != nil {
				return nil, nil, err
			}
			if l.by == nil {
				l.by = map[programKey]*shared{}
			}
			s = &shared{program: p}
			l.by[key] = s
		}
		s.readers++
		return s.program, func() { l.close(key) }, nil
	}
}

func (l *programs) close(key programKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.by[key]
	if s.readers--; s.readers == 0 {
		delete(l.by, key)
	}
}
