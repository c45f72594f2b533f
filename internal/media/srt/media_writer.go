package srt

import (
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	tscodecs "github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/serve"
)

// carried is a codec that an MPEG-TS can hold; packages of codecs decide.
type carried interface {
	frame.Codec
	TSCodec() tscodecs.Codec
	WriteTS(w *mpegts.Writer, t *mpegts.Track, f *frame.Frame) error
}

// chunkSize is how many bytes of a transport stream go into a payload of so many
// at most: whole packets, seven as a rule (SRT draft, live mode).
func chunkSize(payload int) int { return min(payload/packetSize, 7) * packetSize }

// chunks takes payloads of size bytes each, the last of which may be shorter; a
// *live.Conn is one.
type chunks interface {
	WriteChunks(b []byte, size int) (int, error)
}

// mediaWriter makes an MPEG-TS of frames and writes it in chunks. New parameters
// of a picture go in-band; a new kind of track, or new sound, begins new tables.
// Frames of codecs that MPEG-TS does not hold here are left out. For one
// goroutine.
type mediaWriter struct {
	out    chunks
	size   int // of a chunk
	buf    []byte
	ts     *mpegts.Writer
	video  *frame.Track // that the tables announce; nil without
	audio  *frame.Track
	tracks map[frame.Kind]*mpegts.Track
}

// Write collects what the library makes.
func (w *mediaWriter) Write(b []byte) (int, error) {
	w.buf = append(w.buf, b...)
	return len(b), nil
}

// Carries returns a *serve.CarryError for what MPEG-TS has no place for here.
func (w *mediaWriter) Carries(t *frame.Track) error {
	if _, ok := t.Codec.(carried); !ok {
		return &serve.CarryError{Codec: t.Codec.Name(), By: "SRT"}
	}
	return nil
}

// Announce begins new tables for these tracks.
func (w *mediaWriter) Announce(tracks []*frame.Track) error {
	for _, t := range tracks {
		if t.Kind() == frame.Video {
			w.video = t
		} else {
			w.audio = t
		}
	}
	w.ts, w.tracks = &mpegts.Writer{W: w}, map[frame.Kind]*mpegts.Track{}
	for _, t := range []*frame.Track{w.video, w.audio} {
		if t == nil {
			continue
		}
		if c, ok := t.Codec.(carried); ok {
			track := &mpegts.Track{Codec: c.TSCodec()}
			w.tracks[t.Kind()] = track
			w.ts.Tracks = append(w.ts.Tracks, track)
		}
	}
	return w.ts.Initialize()
}

// Frame adds a frame; Flush sends it.
func (w *mediaWriter) Frame(f *frame.Frame) error {
	c, ok := f.Track.Codec.(carried)
	if !ok {
		return nil
	}
	if w.tracks[f.Track.Kind()] == nil || (!f.IsVideo() && w.audio != f.Track) {
		if err := w.Announce([]*frame.Track{f.Track}); err != nil {
			return err
		}
	}
	return c.WriteTS(w.ts, w.tracks[f.Track.Kind()], f)
}

// Flush sends what was added, in chunks.
func (w *mediaWriter) Flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	_, err := w.out.WriteChunks(w.buf, w.size)
	w.buf = w.buf[:0]
	return err
}
