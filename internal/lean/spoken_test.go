//go:build unix

package lean

import (
	"io"
	"net"
	"testing"
	"time"
)

// What a newcomer has sent is seen without waiting, and is still there to be read.
func TestSpoken(t *testing.T) {
	for said, want := range map[string][2]bool{ // past, known
		"": {false, false},
		"GET /plain/list HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n": {true, true},
		"GET /other HTTP/1.1\r\nHost: x\r\n\r\n":                           {false, true},
		"POST /plain/list HTTP/1.1\r\n":                                    {false, true},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		peer, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(peer, said) // what is lost is not seen
		spoken := Spoken(plainly{})
		past, known := spoken(c)
		for range 100 { // until it has come
			if known == want[1] {
				break
			}
			time.Sleep(10 * time.Millisecond)
			past, known = spoken(c)
		}
		if past != want[0] || known != want[1] {
			t.Errorf("%q: past %v, known %v", said, past, known)
		}
		peer.Close()
		if b, err := io.ReadAll(c); err != nil || string(b) != said {
			t.Errorf("read afterwards: %q, %v", b, err)
		}
		c.Close()
		l.Close()
	}
}
