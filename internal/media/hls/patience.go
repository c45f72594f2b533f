package hls

import (
	"net/http"
	"time"
)

// What a slow viewer has for one part, or list, and by HTTP/2 for each piece of it.
const (
	writeTimeout = 30 * time.Second
	pieceTimeout = 9 * time.Second
	pieceSize    = 32 << 10
)

// patience writes to a viewer who may be slow, but must read (FAULTS F10). By HTTP/1
// the server's connections see to that. By HTTP/2 a connection may be read while the
// windows of its streams stay shut: there each piece has a deadline of its own.
type patience struct {
	w       http.ResponseWriter
	control *http.ResponseController
	pieces  bool
}

func newPatience(w http.ResponseWriter, r *http.Request) *patience {
	p := &patience{w: w, control: http.NewResponseController(w), pieces: r.ProtoMajor > 1}
	p.within(writeTimeout)
	return p
}

// within sets the deadline. Not every ResponseWriter has one; the server's have.
func (p *patience) within(d time.Duration) { _ = p.control.SetWriteDeadline(time.Now().Add(d)) }

// write writes a part.
func (p *patience) write(b []byte) error {
	if !p.pieces {
		p.within(writeTimeout)
		_, err := p.w.Write(b)
		return err
	}
	for len(b) > 0 {
		n := min(len(b), pieceSize)
		p.within(pieceTimeout)
		if _, err := p.w.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// over lifts the deadline of a connection that goes on. That of a stream, which ends
// here, stays for what its writer holds still.
func (p *patience) over() {
	if !p.pieces {
		_ = p.control.SetWriteDeadline(time.Time{})
	}
}
