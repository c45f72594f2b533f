package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// descriptors counts the open files of a process whose numbers are below a limit:
// those that it inherited may be above.
func (p *process) descriptors(limit int) int {
	p.t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	count := 0
	for _, f := range files {
		if n, err := strconv.Atoi(f.Name()); err == nil && n < limit {
			count++
		}
	}
	return count
}

// whole reads a stream by RTMP and counts each picture of it.
func whole(t *testing.T, s stream) *process {
	t.Helper()
	r := start(t, "ffmpeg reader", nil, "ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning",
		"-i", s.Play["rtmp"], "-c", "copy", "-map", "0:v", "-f", "framecrc", "-")
	r.waitLine(`^0, +\d`, 0)
	return r
}

// wantWhole fails when a reader missed a picture: its time stamps, in ms, have a
// gap of more than a picture's time.
func (p *process) wantWhole(rate int) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	pictures, last := 0, int64(0)
	for _, line := range p.lines {
		var track, dts int64
		if n, _ := fmt.Sscanf(line, "%d, %d,", &track, &dts); n != 2 || track != 0 {
			continue
		}
		if gap := dts - last; pictures > 0 && (gap <= 0 || gap > 1500/int64(rate)) {
			p.t.Errorf("%s: a gap of %d ms before picture %d", p.name, gap, pictures)
		}
		pictures, last = pictures+1, dts
	}
	if pictures < rate {
		p.t.Errorf("%s: %d pictures", p.name, pictures)
	}
}

// While strangers hold all file descriptors of the server, probes are answered
// and a stream goes on without the loss of a picture. A second after they have
// gone, others get in, and what they do is stored. Of the probes and of three
// releases the median has to be in time, since the machine is busy with other tests.
//
// F23
func TestDescriptorsExhausted(t *testing.T) {
	parallel(t, others)
	const limit = 160
	c := startCloudBy(t, []string{"sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, limit)}, withSRT+
		"https: {addr: \"127.0.0.1:0\"}\nrtmps: {addr: \"127.0.0.1:0\"}\n")
	s, second := c.newStream(), c.newStream()
	publish(t, s.Ingest["rtmp"])
	c.wantStatus(s.ID, "live")
	reader := whole(t, s)

	var held []net.Conn // each was answered, and may stay for its next request
	defer func() {
		for _, conn := range held {
			_ = conn.Close()
		}
	}()
	fill := func() {
		t.Helper()
		eventually(t, "no descriptor is left", func() bool {
			for range limit {
				if c.descriptors(limit) >= limit {
					return true
				}
				conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
				if err != nil {
					t.Fatal(err)
				}
				held = append(held, conn)
				_ = conn.SetDeadline(time.Now().Add(time.Second))
				_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
				_, _ = conn.Read(make([]byte, 512)) // without a descriptor nothing comes
			}
			return false
		})
	}
	before := reader.count(`^0, +\d`)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	var probes []time.Duration
	for range 20 {
		fill()
		began := time.Now()
		res, err := client.Get(c.url + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("healthz says %d", res.StatusCode)
		}
		probes = append(probes, time.Since(began))
		time.Sleep(250 * time.Millisecond)
	}
	wantMedian(t, "probes", probes, 250*time.Millisecond)
	eventually(t, "the reader gets pictures meanwhile", func() bool { return reader.count(`^0, +\d`) > before+60 })
	var entered []time.Duration
	for range 3 {
		// The last of these waits, for whom there is none, until there is one again.
		var waiting net.Conn
		handshake := make([]byte, 1+1536+1536)
		for answered := true; answered; {
			fill()
			var err error
			if waiting, err = net.Dial("tcp", strings.TrimPrefix(c.rtmp, "rtmp://")); err != nil {
				t.Fatal(err)
			}
			held = append(held, waiting)
			_, _ = waiting.Write(append([]byte{3}, make([]byte, 1536)...))
			_ = waiting.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
			n, _ := waiting.Read(handshake)
			answered = n > 0
		}
		for _, conn := range held[:len(held)-1] {
			_ = conn.Close()
		}
		began := time.Now()
		_ = waiting.SetReadDeadline(began.Add(patience))
		if _, err := io.ReadFull(waiting, handshake); err != nil {
			t.Fatalf("no handshake after the release: %v", err)
		}
		entered = append(entered, time.Since(began))
		_ = waiting.Close()
		held = nil
	}
	wantMedian(t, "handshakes after the release", entered, time.Second)
	publish(t, second.Ingest["rtmp"])
	c.wantStatus(second.ID, "live")
	wantMoving(t, second.Play["rtmp"])
	c.newStream() // stored
	reader.wantWhole(30)
}

// wantMedian fails when half of what was waited for came later.
func wantMedian(t *testing.T, what string, took []time.Duration, most time.Duration) {
	t.Helper()
	slices.Sort(took)
	if m := took[len(took)/2]; m > most {
		t.Errorf("%s took %v, want %v: %v", what, m, most, took)
	}
	t.Logf("%s took %v, at most %v", what, took[len(took)/2], took[len(took)-1])
}
