package rtmp

import (
	"crypto/tls"
	"io"
	"net"

	"glimpse/internal/strangers"
)

// source is what a chunkReader reads: it knows whether more is there.
type source struct {
	r     io.Reader
	first []byte // comes before the rest
	full  bool   // the last read got all that it asked for: more may be there
	plain bool   // a read takes all that has come; one of TLS gives a record and keeps others
	quiet quiet
}

func newSource(r io.Reader) *source {
	tcp := tcpOf(r)
	return &source{r: r, plain: tcp != nil, quiet: newQuiet(tcp)}
}

// tcpOf is the TCP connection whose bytes r reads as they are; nil when there is
// anything between that keeps some, as TLS does.
func tcpOf(r io.Reader) *net.TCPConn {
	if _, ok := r.(*tls.Conn); ok {
		return nil
	}
	c, _ := r.(net.Conn)
	tcp, _ := strangers.Bare(c).(*net.TCPConn)
	return tcp
}

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
