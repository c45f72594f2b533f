package rtmp

import (
	"encoding/binary"
	"io"
	"net"
	"time"
)

// handshakeSize is what a client sends in the handshake: C0, C1 and C2 (RTMP 1.0 §5.2).
const handshakeSize = 1 + 1536 + 1536

const errVersion = protocolError("not an RTMP connection, or an encrypted one (RTMPE)")

// feed is what the library reads and writes: the handshake as it is, then
// commands alone, each of them checked and written anew in the plainest form.
// One Read never gives more than the rest of one message, so that the library
// holds nothing back when media take over.
type feed struct {
	conn   net.Conn
	chunks *chunkReader
	shake  int       // bytes of the handshake still to come
	until  time.Time // deadline after the handshake
	rest   []byte    // of the message that is being handed over
}

var _ io.ReadWriter = (*feed)(nil)

func (f *feed) Read(p []byte) (int, error) {
	if f.shake > 0 {
		return f.handshake(p)
	}
	for len(f.rest) == 0 {
		m, err := f.chunks.next()
		if err != nil {
			return 0, err
		}
		if m.kind == typeCommandAMF3 && len(m.body) > 0 { // AMF0 behind a byte of format
			m.kind, m.body = typeCommand, m.body[1:]
		}
		if m.kind != typeCommand {
			continue
		}
		if err := checkAMF(m.body); err != nil {
			return 0, err
		}
		f.rest = plainChunks(m)
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// handshake passes the bytes of C0, C1 and C2.
func (f *feed) handshake(p []byte) (int, error) {
	if f.shake == handshakeSize {
		b, err := f.chunks.br.Peek(1)
		if err != nil {
			return 0, err
		}
		if b[0] != 3 {
			return 0, errVersion
		}
	}
	n, err := f.chunks.br.Read(p[:min(len(p), f.shake)])
	f.shake -= n
	f.chunks.received += uint32(n)
	if f.shake == 0 && err == nil {
		err = f.conn.SetDeadline(f.until)
	}
	return n, err
}

func (f *feed) Write(p []byte) (int, error) { return f.conn.Write(p) }

// plainChunks writes a message as a full header and chunks of the default size.
func plainChunks(m message) []byte {
	id := byte(3)
	if m.chunkStream > 2 && m.chunkStream < 64 {
		id = byte(m.chunkStream)
	}
	n := len(m.body)
	out := make([]byte, 0, 12+n+n/defaultChunkSize)
	out = append(out, id, 0, 0, 0, byte(n>>16), byte(n>>8), byte(n), m.kind)
	out = binary.BigEndian.AppendUint32(out, m.stream)
	for body := m.body; ; {
		size := min(len(body), defaultChunkSize)
		out = append(out, body[:size]...)
		if body = body[size:]; len(body) == 0 {
			return out
		}
		out = append(out, 0xc0|id)
	}
}
