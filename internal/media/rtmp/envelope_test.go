package rtmp

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// written counts the writes to a connection.
type written struct {
	net.Conn
	writes atomic.Int64
}

func (w *written) Write(b []byte) (int, error) {
	w.writes.Add(1)
	return w.Conn.Write(b)
}

// sealed are the two ends of TLS over a pipe, ours first, after the handshake.
func sealed(t *testing.T) (ours, peer *tls.Conn, below *written) {
	t.Helper()
	one, other := net.Pipe()
	below = &written{Conn: one}
	r := newRig(t, Config{TLS: serverTLS(t)})
	ours = seal(below, tls.Server, r.server.cfg.TLS)
	peer = tls.Client(other, &tls.Config{InsecureSkipVerify: true})
	shaken := make(chan error, 1)
	go func() { shaken <- ours.Handshake() }()
	if err := errors.Join(peer.Handshake(), <-shaken); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = one.Close(), other.Close() })
	return ours, peer, below
}

// By RTMPS too a picture, with the sound before it, is one write, however many
// records it needs and from the first on.
func TestOneWriteAPictureUnderTLS(t *testing.T) {
	ours, peer, below := sealed(t)
	read := make(chan int64, 1)
	go func() {
		n, _ := io.Copy(io.Discard, peer)
		read <- n
	}()
	w := newMediaWriter(ours, theStream, time.Second)
	picture, sound := benchFrames(t)
	sent := 0
	for i := range 20 {
		p := *picture
		p.DTS = time.Duration(i) * 33 * time.Millisecond
		if i%10 == 0 {
			p.Key, p.Payload = true, append(p.Payload[:len(p.Payload):len(p.Payload)], make([]byte, 170_000)...)
		}
		before := below.writes.Load()
		if err := errors.Join(w.Frame(sound), w.Frame(&p), w.Flush()); err != nil {
			t.Fatal(err)
		}
		if n := below.writes.Load() - before; n != 1 {
			t.Errorf("picture %d of %d bytes took %d writes", i, len(p.Payload), n)
		}
		sent += len(p.Payload)
	}
	if err := ours.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n := <-read; n < int64(sent) {
		t.Errorf("%d bytes came of %d", n, sent)
	}
}

// Who gives up a peer that takes nothing does not wait for it.
func TestSealedCloseWhileBlocked(t *testing.T) {
	ours, _, below := sealed(t)
	w := newMediaWriter(ours, theStream, time.Minute)
	picture, _ := benchFrames(t)
	before, wrote := below.writes.Load(), make(chan error, 1)
	go func() { wrote <- errors.Join(w.Frame(picture), w.Flush()) }()
	for below.writes.Load() == before {
		time.Sleep(time.Millisecond)
	}
	began := time.Now()
	_ = ours.Close()
	if err := <-wrote; err == nil || time.Since(began) > time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}
