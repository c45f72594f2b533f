package e2e

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
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
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for began, sent := time.Now(), int64(0); ; { // by the clock: a busy machine loses ticks
			select {
			case <-over:
				return
			case <-tick.C:
			}
			n, err := io.CopyN(in, out, int64(time.Since(began).Seconds()*float64(rate))-sent)
			if sent += n; err != nil {
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
	publishNoise(t, s.Ingest["rtmp"])
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
	watching := func() int { return c.watching(s.ID, "rtmp") }
	eventually(t, "three watch", func() bool { return watching() == 3 })
	within(t, 15*time.Second, "who reads nothing is closed", func() bool { return watching() == 2 })
	took := time.Since(stalledAt)
	t.Logf("who reads nothing is closed after %v", took.Round(100*time.Millisecond))
	if took < 8*time.Second || took > 12*time.Second {
		t.Error("that is not 8 to 12 s")
	}
	time.Sleep(time.Until(began.Add(25 * time.Second))) // what the slow one gets meanwhile
	var gaps int
	var late time.Duration
	became(patience, func() bool {
		slow.mu.Lock()
		lines, elapsed := strings.Join(slow.lines, "\n"), time.Since(began)
		slow.mu.Unlock()
		var last time.Duration
		gaps, last = leftOut(t, lines)
		late = elapsed - last
		return gaps > 1
	})
	t.Logf("the slow one: %d gaps, %v late", gaps, late.Round(100*time.Millisecond))
	if gaps < 2 || late > 10*time.Second {
		t.Errorf("the slow one has %d gaps and is %v late", gaps, late)
	}
	reader.wantWhole(30)
}

// leftOut is how often pictures are missing among those that ffmpeg lists, after which a
// key frame has to come, and the time of the last one.
func leftOut(t *testing.T, lines string) (gaps int, last time.Duration) {
	t.Helper()
	before := int64(-1)
	for line := range strings.Lines(lines) {
		var track, dts int64
		if n, _ := fmt.Sscanf(line, "%d, %d,", &track, &dts); n != 2 || track != 0 {
			continue
		}
		if before >= 0 && dts-before > 50 {
			gaps++
			if strings.Contains(line, "F=0x0") {
				t.Errorf("after a gap of %d ms comes no key frame: %s", dts-before, line)
			}
		}
		before = dts
	}
	return gaps, time.Duration(before) * time.Millisecond
}

// A viewer by HTTP who reads nothing is let go after 8 to 12 s, by the plain port, by TLS
// and, stream by stream, by HTTP/2; one who reads slowly is not, whatever it takes.
//
// F10
func TestSlowViewersByHTTP(t *testing.T) {
	parallel(t, others)
	c := startCloud(t, "https: {addr: \"127.0.0.1:0\"}\n")
	m, _ := c.waitLine(`(https://127\.0\.0\.1:\d+)`, 0)
	s := c.newStream()
	publishNoise(t, s.Ingest["rtmp"])
	c.wantStatus(s.ID, "live")
	segment := strings.TrimSuffix(s.Play["hls"], "index.m3u8") + closedSegment(t, strings.Replace(s.Play["hls"], "index", "video", 1))
	whole := len(fetchOK(t, segment))
	if whole < 150_000 {
		t.Fatalf("a segment of %d bytes is nothing to be slow with", whole)
	}
	var all sync.WaitGroup
	for _, way := range []struct {
		name, at string
		h2       bool
	}{{"HTTP", c.url, false}, {"HTTPS", m[1], false}, {"HTTP/2", m[1], true}} {
		for _, rest := range []struct {
			name  string
			wait  time.Duration // before it reads on
			rate  int           // bytes a second then; 0: as fast as can be
			whole bool
		}{{"reads nothing for 8 s", 8 * time.Second, 0, true}, {"reads nothing for 12 s", 12 * time.Second, 0, false}, {"reads slowly", 0, whole / 14, true}} {
			all.Go(func() {
				n, err := sip(strings.Replace(segment, c.url, way.at, 1), way.h2, rest.wait, rest.rate)
				if t.Logf("%s, %s: %d of %d bytes, %v", way.name, rest.name, n, whole, err); (err == nil && n == whole) != rest.whole {
					t.Errorf("%s, who %s: %d of %d bytes, %v", way.name, rest.name, n, whole, err)
				}
			})
		}
	}
	all.Wait()
}

// closedSegment is the name of the newest segment of a playlist.
func closedSegment(t *testing.T, list string) (name string) {
	t.Helper()
	eventually(t, "a segment is closed", func() bool {
		for line := range strings.Lines(string(fetchOK(t, list))) {
			if !strings.HasPrefix(line, "#") && strings.HasSuffix(strings.TrimSpace(line), ".m4s") {
				name = strings.TrimSpace(line)
			}
		}
		return name != ""
	})
	return name
}

// sip asks for a file and lets it wait, in small windows.
func sip(address string, h2 bool, wait time.Duration, rate int) (n int, err error) {
	const window = 16 << 10
	transport := &http.Transport{
		DialContext: (&net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
			return raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, window) })
		}}).DialContext,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		ReadBufferSize:  4 << 10,
		Protocols:       new(http.Protocols),
		HTTP2:           &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10},
	}
	transport.Protocols.SetHTTP1(!h2)
	transport.Protocols.SetHTTP2(h2)
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Get(address)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || (res.ProtoMajor == 2) != h2 {
		return 0, fmt.Errorf("%s %s", res.Proto, res.Status)
	}
	time.Sleep(wait)
	for buf := make([]byte, 2<<10); err == nil; {
		var got int
		got, err = io.ReadFull(res.Body, buf)
		if n += got; rate > 0 {
			time.Sleep(time.Duration(got) * time.Second / time.Duration(rate))
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) && n == int(res.ContentLength) {
		err = nil
	}
	return n, err
}
