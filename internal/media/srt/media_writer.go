package srt

import (
	"glimpse/internal/media/frame"
	"glimpse/internal/media/serve"
)

// chunkSize is how many bytes of a transport stream go into a payload of so many
// at most: whole packets, seven as a rule (SRT draft, live mode).
func chunkSize(payload int) int { return min(payload/packetSize, 7) * packetSize }

// gathered is how many chunks are written at once.
const gathered = 16

// chunks takes payloads of size bytes each, the last of which may be shorter; a
// *live.Conn is one. It does not keep the bytes.
type chunks interface {
	WriteChunks(b []byte, size int) (int, error)
}

// mediaWriter writes a transport stream in chunks: the packets are a program's,
// which others may share; their continuity counters are its own, so that they count
// whatever this reader is sent, whenever it came and whatever it skipped. A new kind
// of track, or new sound, begins new tables. Frames of codecs that MPEG-TS does not
// hold here are left out. Close it. For one goroutine.
type mediaWriter struct {
	open     func(video, audio *frame.Track) (*program, func(), error)
	out      chunks
	size     int // of a chunk
	buf      []byte
	program  *program
	release  func() // the program; nil without one
	counters [4]byte
}

// Carries returns a *serve.CarryError for what MPEG-TS has no place for here.
func (w *mediaWriter) Carries(t *frame.Track) error {
	if _, ok := t.Codec.(carried); !ok {
		return &serve.CarryError{Codec: t.Codec.Name(), By: "SRT"}
	}
	return nil
}

// Announce begins new tables for these tracks and what was announced before.
func (w *mediaWriter) Announce(tracks []*frame.Track) error {
	var video, audio *frame.Track
	if w.program != nil {
		video, audio = w.program.video, w.program.audio
	}
	for _, t := range tracks {
		if t.Kind() == frame.Video {
			video = t
		} else {
			audio = t
		}
	}
	p, release, err := w.open(video, audio)
	if err != nil {
		return err
	}
	w.Close()
	w.program, w.release = p, release
	return nil
}

// Close gives the program up.
func (w *mediaWriter) Close() {
	if w.release != nil {
		w.release()
		w.release = nil
	}
}

// Frame adds a frame; Flush sends what is left of it.
func (w *mediaWriter) Frame(f *frame.Frame) error {
	if _, ok := f.Track.Codec.(carried); !ok {
		return nil
	}
	if !w.program.holds(f.Track) {
		if err := w.Announce([]*frame.Track{f.Track}); err != nil {
			return err
		}
	}
	packets, err := w.program.packets(f)
	if err != nil {
		return err
	}
	if w.buf == nil {
		w.buf = make([]byte, 0, gathered*w.size)
	}
	for ; len(packets) >= packetSize; packets = packets[packetSize:] {
		if len(w.buf) == cap(w.buf) {
			if err := w.Flush(); err != nil {
				return err
			}
		}
		w.packet(packets[:packetSize])
	}
	return nil
}

// packet adds a packet with this reader's counter (ISO/IEC 13818-1 §2.4.3.3). All
// packets of a program have a payload, so each counts.
func (w *mediaWriter) packet(b []byte) {
	at := len(w.buf)
	w.buf = append(w.buf, b...)
	n := &w.counters[0]
	switch pid := uint16(b[1]&0x1f)<<8 | uint16(b[2]); pid {
	case 0: // the programs' table
	case 0x1000: // the program's, as the library has it
		n = &w.counters[1]
	case 0x100: // the first track
		n = &w.counters[2]
	default:
		n = &w.counters[3]
	}
	w.buf[at+3] = b[3]&0xf0 | *n
	*n = (*n + 1) & 0xf
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
