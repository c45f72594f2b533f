package rtmp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"glimpse/internal/media/serve"
	"glimpse/internal/strangers"
)

// writeCalls is how many system calls this thread has written with; a writev is one.
func writeCalls(t *testing.T) (n int) {
	t.Helper()
	b, err := os.ReadFile("/proc/thread-self/io")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "syscw: "); ok {
			if _, err := fmt.Sscan(rest, &n); err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no syscw in %s", b)
	return 0
}

// A picture, with the sound before it, is one system call for each player (MEDIA
// R2), through all that lies between a player's writer and its socket.
func TestOneWriteAPicture(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	gate := strangers.New(strangers.Limits{})
	ln = gate.Door(1 << 10).Listener(ln)
	read := make(chan int64, 1)
	go func() {
		peer, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			read <- 0
			return
		}
		n, _ := io.Copy(io.Discard, peer)
		_ = peer.Close()
		read <- n
	}()
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := newConn(newRig(t, Config{}).server, nc, &serve.Place{})
	p := &play{c}
	w := p.Writer(t.Context())
	picture, sound := benchFrames(t)
	sent, at := 0, time.Duration(0)
	for _, size := range []int{10_000, 180_000, 1000} {
		payload := append(slices.Clip(picture.Payload), make([]byte, 180_000)...)[:size]
		calls := 0
		for range 3 { // the runtime may wake its poller for the deadline, with a write too
			p := *picture
			p.Payload = payload
			at += 33 * time.Millisecond
			sound.DTS, p.DTS = at, at
			before := writeCalls(t)
			if err := errors.Join(w.Frame(sound), w.Frame(&p), w.Flush()); err != nil {
				t.Fatal(err)
			}
			sent += size
			if calls = writeCalls(t) - before; calls == 1 {
				break
			}
		}
		if calls != 1 {
			t.Errorf("a picture of %d bytes took %d writes", size, calls)
		}
	}
	c.closeWrite()
	if n := <-read; n < int64(sent) {
		t.Errorf("%d bytes came of %d", n, sent)
	}
	_ = nc.Close()
}
