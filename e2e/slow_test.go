package e2e

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

// drip is a way to an address by which no more than so many bytes a second come
// back. It ends with the test.
func drip(t *testing.T, target string, rate int) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	task(t, func(over <-chan struct{}) {
		defer l.Close()
		go func() { <-over; l.Close() }()
		in, err := l.Accept()
		if err != nil {
			return
		}
		defer in.Close()
		out, err := net.Dial("tcp", target)
		if err != nil {
			t.Error(err)
			return
		}
		defer out.Close()
		_ = out.(*net.TCPConn).SetReadBuffer(16 << 10) // else the kernel takes seconds of it
		go func() { _, _ = io.Copy(out, in) }()
		const step = 50 * time.Millisecond
		for tick := time.NewTicker(step); ; {
			select {
			case <-over:
				return
			case <-tick.C:
			}
			if _, err := io.CopyN(in, out, int64(rate)*int64(step)/int64(time.Second)); err != nil {
				return
			}
		}
	})
	return l.Addr().String()
}

// A viewer by RTMP with a quarter of the room that the stream needs gets groups of
// pictures from their key frames on and falls no further behind: what is late by 3 s
// is left out, the rest waits in sockets and in ffmpeg. One that reads nothing is
// closed. Who reads beside them misses nothing. By UDP: TestSlowViewerGetsHLS.
//
// F10
func TestSlowViewersByTCP(t *testing.T) {
	parallel(t, others)
	c := startCloud(t, "")
	s := c.newStream()
	// Noise: 2 Mbit/s that cannot be made smaller.
	publish(t, s.Ingest["rtmp"], "-vf", "noise=alls=40:allf=t", "-b:v", "2M", "-minrate", "2M", "-maxrate", "2M", "-bufsize", "1M")
	c.wantStatus(s.ID, "live")
	reader := whole(t, s)
	u, err := url.Parse(s.Play["rtmp"])
	if err != nil {
		t.Fatal(err)
	}
	u.Host = drip(t, u.Host, 500_000/8)
	began := time.Now()
	slow := start(t, "slow ffmpeg", nil, framecrc("-i", u.String(), "-c", "copy")...)
	slow.waitLine(`^0, +\d`, 0)
	stalled := stalledPlayers(t, s.Play["rtmp"], 1)[0]
	defer stalled.Close()
	stalledAt := time.Now()
	watching := func() int {
		var now struct {
			Stats struct{ Viewers map[string]int }
		}
		c.api("GET", "/api/v1/streams/"+s.ID, nil, &now)
		return now.Stats.Viewers["rtmp"]
	}
	eventually(t, "three watch", func() bool { return watching() == 3 })
	within(t, 15*time.Second, "who reads nothing is closed", func() bool { return watching() == 2 })
	took := time.Since(stalledAt)
	t.Logf("who reads nothing is closed after %v", took.Round(100*time.Millisecond))
	if took < 8*time.Second || took > 12*time.Second {
		t.Error("that is not 8 to 12 s")
	}
	time.Sleep(time.Until(began.Add(25 * time.Second))) // what the slow one gets meanwhile

	slow.mu.Lock()
	lines, elapsed := strings.Join(slow.lines, "\n"), time.Since(began)
	slow.mu.Unlock()
	gaps, last := 0, int64(-1)
	for line := range strings.Lines(lines) {
		var track, dts int64
		if n, _ := fmt.Sscanf(line, "%d, %d,", &track, &dts); n != 2 || track != 0 {
			continue
		}
		if last >= 0 && dts-last > 50 {
			gaps++
			if strings.Contains(line, "F=0x0") {
				t.Errorf("after a gap of %d ms comes no key frame: %s", dts-last, line)
			}
		}
		last = dts
	}
	late := elapsed - time.Duration(last)*time.Millisecond
	t.Logf("the slow one: %d gaps, %v late", gaps, late.Round(100*time.Millisecond))
	if gaps < 2 || late > 10*time.Second {
		t.Errorf("the slow one has %d gaps and is %v late", gaps, late)
	}
	reader.wantWhole(30)
}
