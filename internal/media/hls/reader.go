package hls

import (
	"errors"
	"io"
)

// reader reads slices one after the other, for requests of a range.
type reader struct {
	parts [][]byte
	size  int64
	pos   int64
}

func newReader(parts [][]byte) *reader {
	r := &reader{parts: parts}
	for _, p := range parts {
		r.size += int64(len(p))
	}
	return r
}

// Read implements io.Reader.
func (r *reader) Read(b []byte) (int, error) {
	at := r.pos
	for _, p := range r.parts {
		if at < int64(len(p)) {
			n := copy(b, p[at:])
			r.pos += int64(n)
			return n, nil
		}
		at -= int64(len(p))
	}
	return 0, io.EOF
}

// Seek implements io.Seeker.
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the start")
	}
	r.pos = offset
	return offset, nil
}
