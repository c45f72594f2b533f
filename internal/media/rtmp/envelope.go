package rtmp

import (
	"crypto/tls"
	"net"
	"sync"
)

// envelopeBytes is what an envelope's memory may grow to between pictures.
const envelopeBytes = 64 << 10

// envelope lies between TLS and TCP. crypto/tls writes each record by itself; an
// envelope that is open keeps them, so that a picture is one write (MEDIA R2).
// Closed, it is the connection. Who writes media opens and closes it, and writes no
// more than flushBytes and a chunk in between; all else may be called from anywhere.
type envelope struct {
	net.Conn

	mu      sync.Mutex // never held while the network is waited for
	keeping bool       // from open until all that was kept is written
	kept    []byte
}

// seal speaks TLS over a connection, whose writes an envelope gathers. Records are
// to be full from the first on (DynamicRecordSizingDisabled): small ones are for
// who can begin with less than a picture.
func seal(conn net.Conn, side func(net.Conn, *tls.Config) *tls.Conn, cfg *tls.Config) *tls.Conn {
	return side(&envelope{Conn: conn}, cfg)
}

// envelopeOf is that of a connection which seal made; nil for others.
func envelopeOf(conn net.Conn) *envelope {
	if secure, ok := conn.(*tls.Conn); ok {
		e, _ := secure.NetConn().(*envelope)
		return e
	}
	return nil
}

// NetConn is the connection below.
func (e *envelope) NetConn() net.Conn { return e.Conn }

// Write writes, or keeps what is said while the envelope is open. It does not wait
// for what close writes: the TLS of who gives up a blocked peer says goodbye first.
func (e *envelope) Write(b []byte) (int, error) {
	e.mu.Lock()
	keeping := e.keeping
	if keeping {
		e.kept = append(e.kept, b...)
	}
	e.mu.Unlock()
	if keeping {
		return len(b), nil
	}
	return e.Conn.Write(b)
}

// open begins to keep what is written.
func (e *envelope) open() {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.keeping = true
}

// close writes what was kept. After an error the connection is of no use.
func (e *envelope) close() (err error) {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.kept) > 0 && err == nil {
		kept := e.kept
		e.kept = nil
		e.mu.Unlock()
		_, err = e.Conn.Write(kept)
		e.mu.Lock()
		if e.kept == nil && cap(kept) <= envelopeBytes {
			e.kept = kept[:0]
		}
	}
	e.keeping = false
	return err
}
