package flv

import (
	"encoding/binary"
	"fmt"
	"io"

	"glimpse/internal/media/frame"
)

// headerSize and tagSize are what stands before the first tag and before each
// tag's body (Annex E.2, E.4.1).
const (
	headerSize = 9
	tagSize    = 11
)

// Writer writes an FLV file to a pipe, one Write call a frame. Times are the
// frames' own: rebase before if the reader minds.
type Writer struct {
	w            io.Writer
	buf          []byte
	started      bool
	video, audio *frame.Track
}

// NewWriter returns a Writer on w. Nothing is written before the first frame.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// WriteTrack announces a track. Announce all tracks before the first frame: the
// file header says which kinds follow, and a demuxer waits for those. Later
// calls write a new sequence header. It fails when FLV cannot carry the codec.
func (w *Writer) WriteTrack(t *frame.Track) error {
	if _, ok := t.Codec.(Codec); !ok {
		return fmt.Errorf("flv: cannot carry %s", t.Codec.Name())
	}
	w.setTrack(t)
	if !w.started {
		return nil
	}
	w.buf = w.buf[:0]
	w.appendConfig(t, 0)
	return w.flush()
}

// WriteFrame writes a frame; a frame of a track that was not announced, or that
// replaces one, is preceded by the track's sequence header. Errors are those of
// the io.Writer, or that FLV cannot carry the codec.
func (w *Writer) WriteFrame(f *frame.Frame) error {
	c, ok := f.Track.Codec.(Codec)
	if !ok {
		return fmt.Errorf("flv: cannot carry %s", f.Track.Codec.Name())
	}
	w.buf = w.buf[:0]
	ts := uint32(max(Millis(f.DTS), 0))
	fresh := w.setTrack(f.Track)
	if !w.started {
		w.start(ts)
	} else if fresh {
		w.appendConfig(f.Track, ts)
	}
	at := w.openTag(f.Track.Kind(), ts)
	w.buf = c.AppendFLV(w.buf, f.Key, CompositionMillis(f))
	w.buf = append(w.buf, f.Payload...)
	w.closeTag(at)
	return w.flush()
}

// setTrack reports whether the track is new.
func (w *Writer) setTrack(t *frame.Track) bool {
	cur := &w.audio
	if t.Kind() == frame.Video {
		cur = &w.video
	}
	fresh := *cur != t
	*cur = t
	return fresh
}

// start appends the file header and the sequence headers of what is announced.
func (w *Writer) start(ts uint32) {
	w.started = true
	flags := byte(0)
	if w.audio != nil {
		flags |= 4
	}
	if w.video != nil {
		flags |= 1
	}
	w.buf = append(w.buf, 'F', 'L', 'V', 1, flags, 0, 0, 0, headerSize, 0, 0, 0, 0)
	for _, t := range [...]*frame.Track{w.video, w.audio} {
		if t != nil {
			w.appendConfig(t, ts)
		}
	}
}

func (w *Writer) appendConfig(t *frame.Track, ts uint32) {
	at := w.openTag(t.Kind(), ts)
	w.buf = append(w.buf, t.Codec.(Codec).FLVConfig()...)
	w.closeTag(at)
}

// openTag appends a tag header whose size closeTag fills in. The upper eight
// bits of the timestamp come last.
func (w *Writer) openTag(k frame.Kind, ts uint32) (at int) {
	at = len(w.buf)
	w.buf = append(w.buf, TagType(k), 0, 0, 0, byte(ts>>16), byte(ts>>8), byte(ts), byte(ts>>24), 0, 0, 0)
	return at
}

func (w *Writer) closeTag(at int) {
	n := len(w.buf) - at - tagSize
	w.buf[at+1], w.buf[at+2], w.buf[at+3] = byte(n>>16), byte(n>>8), byte(n)
	w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(n+tagSize))
}

func (w *Writer) flush() error {
	_, err := w.w.Write(w.buf)
	return err
}
