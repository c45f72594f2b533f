package e2e

import (
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"
)

// lateLine forwards connections to an address; what goes there does so by delay later,
// in nanoseconds. It returns its own address.
func lateLine(t *testing.T, to string, delay *atomic.Int64) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	forward := func(near, far net.Conn) {
		defer near.Close()
		defer far.Close()
		go func() { _, _ = io.Copy(near, far) }()
		type piece struct {
			came  time.Time
			bytes []byte
		}
		line := make(chan piece, 1<<14)
		go func() {
			defer close(line)
			for {
				buf := make([]byte, 16<<10)
				n, err := near.Read(buf)
				if err != nil {
					return
				}
				line <- piece{time.Now(), buf[:n]}
			}
		}()
		for p := range line {
			time.Sleep(time.Until(p.came.Add(time.Duration(delay.Load())))) // the line's own delay
			if _, err := far.Write(p.bytes); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				t.Error(err)
				_ = near.Close()
				return
			}
			go forward(near, far)
		}
	}()
	return ln.Addr().String()
}

// The network of a publisher becomes 3.5 s slower and stays so: its pictures are older
// than the stream's clock says from then on. Pages by WebRTC, hls.js and dash.js (which
// does what docs/players.md advises) play on, later. A page that jumped to where the
// clock says live is, each time that it is late, would show a picture a second.
func TestPublisherLateForGood(t *testing.T) {
	if !long {
		t.Skip("GLIMPSE_LONG: three pages for a minute")
	}
	parallel(t, browsers)
	c := startCloud(t, "")
	s := c.newStream()
	u, err := url.Parse(s.Ingest["rtmp"])
	if err != nil {
		t.Fatal(err)
	}
	var delay atomic.Int64
	u.Host = lateLine(t, u.Host, &delay)
	publish(t, u.String())
	c.wantStatus(s.ID, "live")
	b := startBrowser(t)
	pages := map[string]string{
		"webrtc": s.Play["page"] + "?protocol=webrtc", "hls": s.Play["page"] + "?protocol=hls",
		"dash": serveDash(t, s.Play["dash"]) + "?jump",
	}
	for page, at := range pages {
		b.do(nil, "open", page, at)
		b.do(nil, "eval", page, `window.shown = 0; (function count() { shown++; document.querySelector('video').requestVideoFrameCallback(count); })()`)
	}
	for page := range pages {
		eventually(t, page+" plays", func() bool { return b.number(page, "shown") > 60 })
	}
	delay.Store(int64(3500 * time.Millisecond))
	before := map[string]float64{}
	for page := range pages {
		before[page] = b.number(page, "shown")
	}
	for page := range pages {
		eventually(t, page+" plays on", func() bool { return b.number(page, "shown") > before[page]+250 })
	}
}
