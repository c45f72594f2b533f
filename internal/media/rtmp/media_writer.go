package rtmp

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"

	"glimpse/internal/media/flv"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/serve"
)

const (
	outChunkSize = 65536     // both the library's server and our client announce it
	tlsRecord    = 16384     // payload of a full record (RFC 8446 §5.1)
	flushBytes   = 256 << 10 // about what is written at once, within one timeout
	audioStream  = 4         // the chunk streams that we use
	videoStream  = 6
	dataStream   = 7
)

// mediaWriter sends frames as RTMP messages: payload bytes shared with all other
// writers, chunk headers its own, everything that is there in one writev. Times
// begin at 0 with the first frame. It is for one goroutine and, once its
// buffers have grown, allocates nothing.
type mediaWriter struct {
	conn    net.Conn
	stream  uint32        // message stream id
	timeout time.Duration // of a write of about flushBytes
	joined  *bufio.Writer // for connections without writev: TLS makes a record of each slice; else nil
	sealed  *envelope     // below joined, when that is TLS

	takes func(code string) bool // codecs of Enhanced RTMP that the peer decodes; nil: all

	started      bool
	base         time.Duration // DTS of the first frame
	video, audio *frame.Track  // whose sequence headers were sent

	head    []byte      // the headers of what waits
	bufs    net.Buffers // what waits, in order
	out     net.Buffers // consumed by a writev
	waiting int         // bytes in bufs
}

func newMediaWriter(conn net.Conn, stream uint32, timeout time.Duration) *mediaWriter {
	w := &mediaWriter{conn: conn, stream: stream, timeout: timeout}
	if _, ok := conn.(*net.TCPConn); !ok {
		w.joined, w.sealed = bufio.NewWriterSize(conn, tlsRecord), envelopeOf(conn)
	}
	return w
}

// Carries returns a *serve.CarryError for what FLV has no place for, and for what
// the peer did not say that it decodes.
func (w *mediaWriter) Carries(t *frame.Track) error {
	c, ok := t.Codec.(flv.Codec)
	if !ok {
		return &serve.CarryError{Codec: t.Codec.Name(), By: "RTMP"}
	}
	if code := flv.FourCC(c); code != "" && w.takes != nil && !w.takes(code) {
		return &serve.CarryError{Codec: t.Codec.Name(), By: fmt.Sprintf("this RTMP player (%q is not in its fourCcList)", code)}
	}
	return nil
}

// Announce queues onMetaData and the sequence headers of the tracks.
func (w *mediaWriter) Announce(tracks []*frame.Track) error {
	var props amf0.ECMAArray
	for _, t := range tracks {
		if c, ok := t.Codec.(flv.Codec); ok {
			c.FLVMetadata(func(name string, v float64) {
				props = append(props, amf0.ObjectEntry{Key: name, Value: v})
			})
		}
	}
	props = append(props, amf0.ObjectEntry{Key: "encoder", Value: "Glimpse"})
	body, err := amf0.Data{"onMetaData", props}.Marshal()
	if err != nil {
		return err
	}
	if err := w.data(body); err != nil {
		return err
	}
	for _, t := range tracks {
		if err := w.setTrack(t, 0); err != nil {
			return err
		}
	}
	return nil
}

// data queues an AMF0 data message.
func (w *mediaWriter) data(body []byte) error {
	at := len(w.head)
	w.header(dataStream, typeData, 0, len(body))
	return w.body(dataStream, 0, at, body)
}

// setTrack queues a sequence header when the track is a new one.
func (w *mediaWriter) setTrack(t *frame.Track, ts uint32) error {
	c, ok := t.Codec.(flv.Codec)
	if !ok {
		return nil
	}
	cur, id := &w.audio, byte(audioStream)
	if t.Kind() == frame.Video {
		cur, id = &w.video, videoStream
	}
	if *cur == t {
		return nil
	}
	*cur = t
	body := c.FLVConfig()
	at := len(w.head)
	w.header(id, flv.TagType(t.Kind()), ts, len(body))
	return w.body(id, ts, at, body)
}

// Frame queues a frame, behind a sequence header when its track is a new one.
// Codecs that FLV cannot carry are left out. It writes when much is waiting.
func (w *mediaWriter) Frame(f *frame.Frame) error {
	c, ok := f.Track.Codec.(flv.Codec)
	if !ok {
		return nil
	}
	if !w.started {
		w.started, w.base = true, f.DTS
	}
	if f.DTS < w.base && !f.IsVideo() {
		return nil // sound from before the first picture
	}
	ts := uint32(max(flv.Millis(f.DTS-w.base), 0)) // wraps after 49 days, as it should
	if err := w.setTrack(f.Track, ts); err != nil {
		return err
	}
	id := byte(audioStream)
	if f.IsVideo() {
		id = videoStream
	}
	at := len(w.head)
	w.header(id, flv.TagType(f.Track.Kind()), ts, 0)
	body := len(w.head)
	w.head = c.AppendFLV(w.head, f.Key, flv.CompositionMillis(f))
	w.length(at, len(w.head)-body+len(f.Payload))
	return w.body(id, ts, at, f.Payload)
}

// header appends a chunk header of format 0 (RTMP 1.0 §5.3.1.2.1): it refers to
// nothing before, so it suits every moment.
func (w *mediaWriter) header(id, kind byte, ts uint32, length int) {
	short := min(ts, extended)
	w.head = append(w.head, id, byte(short>>16), byte(short>>8), byte(short), 0, 0, 0, kind)
	w.head = binary.LittleEndian.AppendUint32(w.head, w.stream)
	w.length(len(w.head)-12, length)
	if ts >= extended {
		w.head = binary.BigEndian.AppendUint32(w.head, ts)
	}
}

// length fills in the message length of the header at an index.
func (w *mediaWriter) length(at, n int) {
	w.head[at+4], w.head[at+5], w.head[at+6] = byte(n>>16), byte(n>>8), byte(n)
}

// body queues what was appended to head since at, then the payload, with chunk
// headers of format 3 where a chunk is full. Those repeat an extended timestamp
// (§5.3.1.3), whatever older specifications said: ffmpeg and librtmp expect it.
func (w *mediaWriter) body(id byte, ts uint32, at int, payload []byte) error {
	room := outChunkSize - (len(w.head) - at - headerSize(ts))
	w.queue(w.head[at:])
	for {
		n := min(room, len(payload))
		w.queue(payload[:n])
		if w.waiting >= flushBytes {
			if err := w.Flush(); err != nil {
				return err
			}
		}
		if payload = payload[n:]; len(payload) == 0 {
			return nil
		}
		at, room = len(w.head), outChunkSize
		w.head = append(w.head, 0xc0|id)
		if ts >= extended {
			w.head = binary.BigEndian.AppendUint32(w.head, ts)
		}
		w.queue(w.head[at:])
	}
}

// headerSize of format 0.
func headerSize(ts uint32) int {
	if ts >= extended {
		return 16
	}
	return 12
}

// queue appends bytes that must not change before the flush. Those in head stay
// where they are even when head grows into a new array.
func (w *mediaWriter) queue(b []byte) {
	if len(b) > 0 {
		w.bufs = append(w.bufs, b)
		w.waiting += len(b)
	}
}

// Flush writes what waits. An error ends the connection: a message may have been
// written in part.
func (w *mediaWriter) Flush() error {
	if w.waiting == 0 {
		return nil
	}
	if err := w.conn.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
		return err
	}
	var err error
	if w.joined != nil {
		w.sealed.open()
		for _, b := range w.bufs {
			_, _ = w.joined.Write(b) // Flush returns the first error
		}
		err = errors.Join(w.joined.Flush(), w.sealed.close())
	} else {
		w.out = w.bufs
		_, err = w.out.WriteTo(w.conn)
	}
	clear(w.bufs) // lets go of the payloads
	w.bufs, w.head, w.waiting = w.bufs[:0], w.head[:0], 0
	return err
}
