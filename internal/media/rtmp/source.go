package rtmp

import "io"

// source is what a chunkReader reads: it knows whether more is there.
type source struct {
	r     io.Reader
	first []byte // comes before the rest
	full  bool   // the last read got all that it asked for: more may be there
	quiet quiet
}

func newSource(r io.Reader) *source { return &source{r: r, quiet: newQuiet(r)} }

// Read reads.
func (s *source) Read(b []byte) (n int, err error) {
	if len(s.first) > 0 {
		n = copy(b, s.first)
		s.first, s.full = s.first[n:], true
		return n, nil
	}
	n, err, done := s.quiet.read(b)
	if !done {
		n, err = s.r.Read(b)
	}
	s.full = n == len(b)
	return n, err
}
