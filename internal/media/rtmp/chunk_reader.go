package rtmp

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"glimpse/internal/media/frame"
)

// The message types that the package looks at (RTMP 1.0 §5.4, §7.1).
const (
	typeSetChunkSize  = 1
	typeAbort         = 2
	typeAck           = 3
	typeUserControl   = 4
	typeWindowAck     = 5
	typePeerBandwidth = 6
	typeAudio         = 8
	typeVideo         = 9
	typeCommandAMF3   = 17
	typeData          = 18
	typeCommand       = 20
)

// limits bound what a peer may make us hold (FAULTS part 1).
type limits struct {
	message int // bytes a message
	total   int // bytes of unfinished messages a connection
	streams int // chunk streams
	ahead   int // bytes reserved for a message before they arrive
}

// strangerLimits are in force until publishing is granted, and for players.
func strangerLimits() limits {
	return limits{message: 64 << 10, total: 256 << 10, streams: 8, ahead: 512}
}

// publisherLimits are for whoever showed a key.
func publisherLimits() limits {
	return limits{message: frame.MaxPicture, total: 16 << 20, streams: 32, ahead: 64 << 10}
}

const (
	defaultChunkSize = 128      // until the peer sets another (§5.4.1)
	extended         = 0xffffff // says that the timestamp stands in a field of its own
	readBuffer       = 8 << 10
	publisherBuffer  = 64 << 10
)

// message is one RTMP message. The body belongs to the receiver.
type message struct {
	chunkStream uint32
	stream      uint32 // message stream id as on the wire, read as big endian
	kind        byte
	time        uint32 // milliseconds, wraps
	body        []byte
}

// chunkStream is what the headers of one chunk stream refer back to.
type chunkStream struct {
	time, delta uint32
	field       uint32 // the extended timestamp as it was sent
	extended    bool
	seen        bool // a full header has come
	kind        byte
	stream      uint32
	length      int
	body        []byte // of the unfinished message
	open        bool   // a message is unfinished
}

// chunkReader takes messages off a connection (RTMP 1.0 §5.3). Memory grows
// with what arrives, never with what is announced. It is for one goroutine.
type chunkReader struct {
	src     *source
	br      *bufio.Reader
	size    int // the peer's chunk size
	limits  limits
	streams map[uint32]*chunkStream
	held    int // bytes reserved by unfinished messages

	window   uint32 // the peer wants an acknowledgement each so many bytes
	received uint32 // bytes taken so far, wraps
}

func newChunkReader(r io.Reader, l limits) *chunkReader {
	src := newSource(r)
	return &chunkReader{
		src: src, br: bufio.NewReaderSize(src, readBuffer), size: defaultChunkSize, limits: l,
		streams: map[uint32]*chunkStream{}, window: defaultWindow,
	}
}

// defaultWindow is what servers usually announce; minWindow keeps a peer from
// asking for an answer to every byte.
const (
	defaultWindow = 2_500_000
	minWindow     = 64 << 10
)

// The errors of the reader. They say nothing of what the peer sent.
const (
	errChunkSize   = protocolError("chunk size of zero or beyond 31 bits")
	errChunkHeader = protocolError("chunk header refers to nothing")
	errInterleaved = protocolError("new message inside an unfinished one")
	errTooLong     = protocolError("message is too long")
	errStreams     = protocolError("too many chunk streams")
	errHeld        = protocolError("too many unfinished messages")
	errControl     = protocolError("malformed control message")
)

// protocolError is a peer's breach of the protocol or of our bounds. Its text
// may be logged: it repeats nothing that the peer sent.
type protocolError string

func (e protocolError) Error() string { return "rtmp: " + string(e) }

// grant raises the limits: the peer has shown a key. It is read in larger pieces
// from now on: a picture is one read.
func (r *chunkReader) grant() {
	r.limits = publisherLimits()
	r.src.first, _ = r.br.Peek(r.br.Buffered())
	r.br = bufio.NewReaderSize(r.src, publisherBuffer)
}

// dry reports whether a read would wait for the peer. It never does by TLS, where
// nobody can tell.
func (r *chunkReader) dry() bool { return r.src.plain && r.br.Buffered() == 0 && !r.src.full }

// next returns the next message that is not about the chunk stream itself:
// chunk sizes, aborts and acknowledgement windows are obeyed here.
func (r *chunkReader) next() (message, error) {
	for {
		m, done, err := r.chunk()
		if err != nil {
			return message{}, err
		}
		if !done {
			continue
		}
		switch m.kind {
		case typeSetChunkSize, typeAbort, typeWindowAck:
			if len(m.body) < 4 {
				return message{}, errControl
			}
			if err := r.control(m.kind, binary.BigEndian.Uint32(m.body)); err != nil {
				return message{}, err
			}
		default:
			return m, nil
		}
	}
}

func (r *chunkReader) control(kind byte, v uint32) error {
	switch kind {
	case typeSetChunkSize:
		if v == 0 || v > 1<<31-1 {
			return errChunkSize
		}
		// A message has less than 16 MiB, so larger chunks are all the same (§5.4.1).
		// Nothing is ever allocated by this number.
		r.size = int(min(v, extended))
	case typeAbort:
		if cs := r.streams[v]; cs != nil {
			r.drop(cs)
		}
	case typeWindowAck:
		r.window = max(v, minWindow)
	}
	return nil
}

// drop forgets an unfinished message.
func (r *chunkReader) drop(cs *chunkStream) {
	r.held -= cap(cs.body)
	cs.body, cs.open = nil, false
}

// chunk reads one chunk; done says that it completed m.
func (r *chunkReader) chunk() (m message, done bool, err error) {
	format, id, err := r.basicHeader()
	if err != nil {
		return m, false, err
	}
	cs := r.streams[id]
	if cs == nil {
		if len(r.streams) >= r.limits.streams {
			return m, false, errStreams
		}
		cs = &chunkStream{}
		r.streams[id] = cs
	}
	if cs.open && format != 3 {
		return m, false, errInterleaved
	}
	if err := r.messageHeader(format, cs); err != nil {
		return m, false, err
	}
	n := min(cs.length-len(cs.body), r.size)
	if err := r.fill(cs, n); err != nil {
		return m, false, err
	}
	if len(cs.body) < cs.length {
		return m, false, nil
	}
	m = message{chunkStream: id, stream: cs.stream, kind: cs.kind, time: cs.time, body: cs.body}
	r.drop(cs) // the body is the receiver's now
	return m, true, nil
}

// basicHeader reads format and chunk stream id (§5.3.1.1).
func (r *chunkReader) basicHeader() (format byte, id uint32, err error) {
	b, err := r.read(1)
	if err != nil {
		return 0, 0, err
	}
	format, id = b[0]>>6, uint32(b[0]&0x3f)
	switch id {
	case 0:
		if b, err = r.read(1); err == nil {
			id = 64 + uint32(b[0])
		}
	case 1:
		if b, err = r.read(2); err == nil {
			id = 64 + uint32(b[0]) + uint32(b[1])<<8
		}
	}
	return format, id, err
}

// messageHeader reads the rest of a chunk's header and opens a message.
func (r *chunkReader) messageHeader(format byte, cs *chunkStream) error {
	if format != 0 && !cs.seen {
		return errChunkHeader
	}
	if format == 3 {
		return r.continuation(cs)
	}
	b, err := r.read(11 - 4*int(format)) // formats 0, 1, 2: 11, 7, 3 bytes (§5.3.1.2)
	if err != nil {
		return err
	}
	cs.field = uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])
	if format < 2 {
		cs.length = int(b[3])<<16 | int(b[4])<<8 | int(b[5])
		cs.kind = b[6]
		if cs.length > r.limits.message {
			return errTooLong
		}
	}
	if format == 0 {
		cs.stream = binary.BigEndian.Uint32(b[7:])
	}
	if cs.extended = cs.field == extended; cs.extended {
		if b, err = r.read(4); err != nil {
			return err
		}
		cs.field = binary.BigEndian.Uint32(b)
	}
	if format == 0 {
		cs.time, cs.delta = cs.field, 0
	} else {
		cs.delta = cs.field
		cs.time += cs.delta
	}
	cs.seen, cs.open = true, true
	return nil
}

// continuation reads what a header of format 3 may bring: an extended timestamp
// is repeated (§5.3.1.3), but some encoders leave it out, so it is taken only
// when it says the same as before.
func (r *chunkReader) continuation(cs *chunkStream) error {
	if cs.extended {
		b, err := r.br.Peek(4)
		if err != nil {
			return err
		}
		if v := binary.BigEndian.Uint32(b); v == cs.field || v == cs.time {
			if _, err := r.read(4); err != nil {
				return err
			}
		}
	}
	if !cs.open { // a new message like the last one
		cs.time += cs.delta
		cs.open = true
	}
	return nil
}

// fill reads n bytes of a message's body, for no more of which than may be ahead
// there is room before they arrive.
func (r *chunkReader) fill(cs *chunkStream, n int) error {
	for n > 0 {
		old, step := len(cs.body), min(n, r.limits.ahead)
		if old+step > cap(cs.body) {
			if err := r.grow(cs, old+step); err != nil {
				return err
			}
		}
		cs.body = cs.body[:old+step]
		r.received += uint32(step)
		if _, err := io.ReadFull(r.br, cs.body[old:]); err != nil {
			return fmt.Errorf("rtmp: read chunk: %w", err)
		}
		n -= step
	}
	return nil
}

// grow makes room for at least n bytes, and for twice as much each time.
func (r *chunkReader) grow(cs *chunkStream, n int) error {
	size := min(max(n, 2*cap(cs.body)), cs.length)
	more := size - cap(cs.body)
	if r.held+more > r.limits.total {
		return errHeld
	}
	r.held += more
	body := make([]byte, len(cs.body), size)
	copy(body, cs.body)
	cs.body = body
	return nil
}

// read returns the next n bytes, at most 16, valid until the next call.
func (r *chunkReader) read(n int) ([]byte, error) {
	b, err := r.br.Peek(n)
	if err != nil {
		return nil, err
	}
	_, _ = r.br.Discard(n) // buffered: cannot fail
	r.received += uint32(n)
	return b, nil
}
