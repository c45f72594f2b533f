package webrtc

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// sips is a TCP connection that is read slowly when it is told to.
type sips struct {
	net.Conn
	rate atomic.Int64 // bytes a second; 0: as they come, negative: none
	once sync.Once
	over chan struct{}
}

func (s *sips) Read(b []byte) (int, error) {
	for s.rate.Load() < 0 {
		select {
		case <-s.over:
			return 0, net.ErrClosed
		case <-time.After(20 * time.Millisecond):
		}
	}
	n, err := s.Conn.Read(b)
	if rate := s.rate.Load(); rate > 0 {
		time.Sleep(time.Duration(n) * time.Second / time.Duration(rate))
	}
	return n, err
}

func (s *sips) Close() error {
	s.once.Do(func() { close(s.over) })
	return s.Conn.Close()
}

// FAULTS F10: a viewer by TCP who reads nothing, and says all the time that it is there, is
// let go after 8 to 12 s. One who reads a seventh of the stream stays, and so does one who
// went on by UDP when its TCP connection was blocked; who watches beside them misses nothing.
func TestDeafViewerByTCP(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish() // 215 kB a second
	other := r.join(false)
	defer other.pc.Close()
	v := newVisitor(r)
	enter := func(rate int64) *visit {
		t.Helper()
		j, err := v.join(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = j.client.Close(); _ = j.conn.Close() })
		<-j.media
		j.sips.rate.Store(rate)
		return j
	}
	slow, moved, deaf := enter(30_000), enter(-1), enter(-1)
	began := time.Now()
	udp, err := net.DialUDP("udp", nil, deaf.to.(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	_ = udp.SetReadBuffer(4 << 20)
	there := func(j *visit) bool {
		r.server.mu.Lock()
		defer r.server.mu.Unlock()
		for name := range r.server.sessions {
			if len(name) <= len(j.location) && j.location[len(j.location)-len(name):] == name {
				return true
			}
		}
		return false
	}
	took, streams := time.Duration(0), 0
	for n := 0; time.Since(began) < 14*time.Second; n++ {
		if n%20 == 0 {
			for _, j := range []*visit{deaf, slow} {
				_, _ = j.conn.WriteTo(j.check, j.to) // the deaf one's connection ends
			}
			if time.Since(began) > 4*time.Second {
				_, _ = udp.Write(moved.check)
			}
		}
		time.Sleep(100 * time.Millisecond)
		if took == 0 && !there(deaf) {
			took, streams = time.Since(began), r.server.mux.Stats().Streams
		}
	}
	if t.Logf("who reads nothing is let go after %v", took.Round(100*time.Millisecond)); took < 8*time.Second || took > 12*time.Second {
		t.Error("that is not 8 to 12 s")
	}
	if !there(slow) || !there(moved) {
		t.Errorf("who reads slowly is there: %v; who moved to UDP: %v", there(slow), there(moved))
	}
	if now := r.server.mux.Stats().Streams; now != 1 {
		t.Errorf("%d TCP connections, %d when the deaf one was let go; only the slow one's is in use", now, streams)
	}
	_ = udp.SetReadDeadline(time.Now().Add(time.Second))
	for size, buf := 0, make([]byte, 2048); size < 500; { // no answer to a check
		if size, err = udp.Read(buf); err != nil {
			t.Fatalf("no media by UDP: %v", err)
		}
	}
	if holes, total := other.gaps.missing(0); holes > 0 || total < 1000 || other.newest.Load()+50 < r.count.Load() {
		t.Errorf("the other one lacks %d of %d packets, and is at picture %d of %d", holes, total, other.newest.Load(), r.count.Load())
	}
}
