package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// output is what the API says of a restream destination.
type output struct {
	ID, Name, URL, Status, Error string
	Connects                     int
	Sent, Dropped                uint64
}

type sentStream struct {
	Status  string
	Outputs []output
	Stats   struct {
		Frames uint64
		Sound  string
		Tracks []struct{ Codec string }
	}
}

// sent is how a stream and its outputs do.
func (c *cloud) sent(id string) (s sentStream) {
	c.t.Helper()
	c.api("GET", "/api/v1/streams/"+id, nil, &s)
	return s
}

func (s sentStream) output(name string) output {
	i := slices.IndexFunc(s.Outputs, func(o output) bool { return o.Name == name })
	if i < 0 {
		return output{}
	}
	return s.Outputs[i]
}

// bad is a TCP relay to a server that works; it stops reading after so many bytes,
// or cuts each connection after a time.
type bad struct {
	addr    string
	after   int64
	cut     time.Duration
	stalled atomic.Int64 // when, in Unix nanoseconds
	calls   atomic.Int64
}

func startBad(t *testing.T, target string, after int64, cut time.Duration) *bad {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &bad{addr: l.Addr().String(), after: after, cut: cut}
	at, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	done := make(chan struct{})
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b.calls.Add(1)
			_ = conn.(*net.TCPConn).SetReadBuffer(8 << 10) // what the kernel takes is not read by anybody
			conns.Go(func() { b.serve(conn, at.Host, done) })
		}
	})
	t.Cleanup(func() { l.Close(); close(done); conns.Wait() })
	return b
}

func (b *bad) serve(conn net.Conn, target string, done <-chan struct{}) {
	defer conn.Close()
	out, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer out.Close()
	go func() { _, _ = io.Copy(conn, out) }()
	if b.cut > 0 {
		defer time.AfterFunc(b.cut, func() { conn.Close() }).Stop()
		_, _ = io.Copy(out, conn)
		return
	}
	_, _ = io.CopyN(out, conn, b.after)
	b.stalled.CompareAndSwap(0, time.Now().UnixNano())
	<-done
}

// pictures lists the times of a file's or a stream's pictures in seconds.
func pictures(t *testing.T, file string) (times []float64) {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time", "-of", "csv=p=0", file).Output()
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	for _, line := range strings.Fields(string(out)) {
		at, err := strconv.ParseFloat(strings.Trim(line, ","), 64)
		if err == nil {
			times = append(times, at)
		}
	}
	slices.Sort(times)
	return times
}

// trusting is the environment of a server that trusts these authorities.
func trusting(t *testing.T, pems ...[]byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "trusted.pem")
	if err := os.WriteFile(file, slices.Concat(pems...), 0o600); err != nil {
		t.Fatal(err)
	}
	return "SSL_CERT_FILE=" + file
}

// One stream goes to servers of three kinds by RTMP, RTMPS and SRT. One of them
// accepts and reads nothing, one refuses, one hangs up every few seconds: each is
// told of within 2 s, and every other one gets every picture, as the stream does.
//
// F17 D4
func TestOutputsAreIsolated(t *testing.T) {
	parallel(t, others)
	const seconds = 14
	plain, secure, authority := nginx(t)
	sink := startCloud(t, withSRT+"rtmps: {addr: \"127.0.0.1:0\"}\n")
	_, _, own := get(t, sink.url+"/ca.pem")
	pem, err := os.ReadFile(authority)
	if err != nil {
		t.Fatal(err)
	}
	c := startCloud(t, withSRT+"outbound: {allow_private: true}\n", trusting(t, own, pem))
	oursByTLS, oursBySRT := sink.newStream(), sink.newStream()
	file := filepath.Join(t.TempDir(), "srt.ts")
	listener := freePort(t) // its reader drops nothing for being late: on a busy machine it is
	start(t, "ffmpeg srt listener", nil, "ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "warning",
		"-i", fmt.Sprintf("srt://127.0.0.1:%d?mode=listener&tlpktdrop=0", listener), "-map", "0", "-c", "copy", "-f", "mpegts", file)
	stalls, flaps := startBad(t, plain, 150<<10, 0), startBad(t, plain, 0, 3*time.Second)
	restream := []map[string]string{
		{"name": "ours by RTMPS", "url": oursByTLS.Ingest["rtmps"]},
		{"name": "ours by SRT", "url": oursBySRT.Ingest["srt"]},
		{"name": "nginx", "url": plain + "/kept/secret-plain"},
		{"name": "nginx by TLS", "url": secure + "/kept/secret-secure?token=secret"},
		{"name": "ffmpeg by SRT", "url": fmt.Sprintf("srt://127.0.0.1:%d?streamid=secret", listener)},
		{"name": "stalls", "url": "rtmp://" + stalls.addr + "/live/secret-stalls"},
		{"name": "refuses", "url": fmt.Sprintf("rtmp://127.0.0.1:%d/live/secret-refuses", freePort(t))},
		{"name": "flaps", "url": "rtmp://" + flaps.addr + "/live/secret-flaps"},
	}
	var s stream
	if code := c.api("POST", "/api/v1/streams", map[string]any{"restream": restream, "resume_window": 0}, &s); code != http.StatusCreated {
		t.Fatal(code)
	}
	publisher := publishTo(t, "mpegts", s.Ingest["srt"]+"&linger=5", // until its last packets have arrived
		"-t", strconv.Itoa(seconds), "-g", "30", "-b:v", "1500k")
	c.wantStatus(s.ID, "live")
	live := time.Now()
	eventually(t, "the refusing one is told of", func() bool { return c.sent(s.ID).output("refuses").Status == "retrying" })
	if d := time.Since(live); d > 2*time.Second {
		t.Errorf("that a destination refuses was told after %v", d)
	}
	eventually(t, "the stalled one is told of", func() bool {
		o := c.sent(s.ID).output("stalls")
		return stalls.stalled.Load() > 0 && o.Status == "retrying" && o.Error != ""
	})
	if d := time.Since(time.Unix(0, stalls.stalled.Load())); d > 2500*time.Millisecond {
		t.Errorf("that a destination stalls was told after %v", d)
	}
	eventually(t, "the flapping one is told of, and tried again", func() bool {
		return flaps.calls.Load() > 1 && c.sent(s.ID).output("flaps").Connects > 1
	})
	for _, name := range []string{"ours by RTMPS", "ours by SRT", "nginx", "nginx by TLS", "ffmpeg by SRT"} {
		if o := c.sent(s.ID).output(name); o.Status != "active" || o.Connects != 1 || o.Dropped != 0 {
			t.Errorf("%s: %+v", name, o)
		}
	}
	<-publisher.done
	c.wantStatus(s.ID, "idle")
	frames := c.sent(s.ID).Stats.Frames
	if frames != seconds*30 {
		t.Errorf("%d pictures were published, %d arrived", seconds*30, frames)
	}
	for name, id := range map[string]string{"RTMPS": oursByTLS.ID, "SRT": oursBySRT.ID} {
		eventually(t, "ours has every picture by "+name, func() bool { return sink.sent(id).Stats.Frames == frames })
	}
	dir := filepath.Dir(authority)
	for name, at := range map[string]string{"nginx": dir + "/secret-plain.flv", "nginx by TLS": dir + "/secret-secure.flv", "ffmpeg by SRT": file} {
		var times []float64
		if !became(patience, func() bool {
			if _, err := os.Stat(at); err == nil {
				times = pictures(t, at)
			}
			return len(times) == int(frames)
		}) {
			t.Errorf("%s has %d pictures of %d: %v", name, len(times), frames, times)
		}
		for i := 1; i < len(times); i++ {
			if d := times[i] - times[i-1]; d < 0.030 || d > 0.037 {
				t.Errorf("%s: %.3f s between pictures %d and %d", name, d, i-1, i)
			}
		}
	}
	if said := c.tail(10000); strings.Contains(said, "secret-") {
		t.Errorf("the log has a key:\n%s", said)
	}
}

// Outputs are added, paused, resumed, tried and removed while a stream runs, and
// are still there after a kill -9. What comes by WebRTC with Opus goes out with AAC.
//
// D24
func TestOutputsLive(t *testing.T) {
	parallel(t, others)
	sink := startCloud(t, withSRT)
	c := startCloud(t, "outbound: {allow_private: true}\n")
	s, first, second := c.newStream(), sink.newStream(), sink.newStream()
	all := "/api/v1/streams/" + s.ID + "/outputs"
	var check struct {
		OK     bool
		Stages []struct{ Name, Error string }
	}
	if code := c.api("POST", "/api/v1/outputs/check", map[string]any{"url": first.Ingest["rtmp"]}, &check); code != http.StatusOK || !check.OK || len(check.Stages) != 3 {
		t.Errorf("pre-flight: %d %+v", code, check)
	}
	if code := c.api("POST", all, map[string]any{"url": fmt.Sprintf("rtmp://127.0.0.1:%d/live/k", freePort(t)), "check": true}, nil); code != http.StatusBadGateway {
		t.Errorf("a destination that nobody is at was added: %d", code)
	}
	encodeOpus(t, beeping).publishWHIP(t, s.Ingest["whip"])
	c.wantStatus(s.ID, "live")
	var rtmp, srt output
	if code := c.api("POST", all, map[string]any{"url": first.Ingest["rtmp"], "name": "first", "check": true}, &rtmp); code != http.StatusCreated {
		t.Fatal(code)
	}
	if code := c.api("POST", all, map[string]any{"url": second.Ingest["srt"], "name": "second"}, &srt); code != http.StatusCreated {
		t.Fatal(code)
	}
	if code := c.api("POST", all, map[string]any{"url": first.Ingest["rtmp"]}, nil); code != http.StatusConflict {
		t.Errorf("twice the same: %d", code)
	}
	for _, to := range []stream{first, second} {
		sink.wantStatus(to.ID, "live")
		if got := sink.sent(to.ID).Stats; got.Sound != "aac" {
			t.Errorf("the destination gets %+v", got.Tracks)
		}
		wantMoving(t, to.Play["rtmp"])
	}
	c.api("PATCH", all+"/"+rtmp.ID, map[string]any{"paused": true}, nil)
	eventually(t, "the first is paused", func() bool { return c.sent(s.ID).output("first").Status == "stopped" })
	sink.wantStatus(first.ID, "interrupted")
	c.api("PATCH", all+"/"+rtmp.ID, map[string]any{"paused": false}, nil)
	sink.wantStatus(first.ID, "live")
	if o := c.sent(s.ID).output("second"); o.Status != "active" || o.Connects != 1 || o.Dropped != 0 {
		t.Errorf("the other one: %+v", o)
	}
	if code := c.api("DELETE", all+"/"+srt.ID, nil, nil); code != http.StatusNoContent {
		t.Error(code)
	}
	c.api("PATCH", all+"/"+rtmp.ID, map[string]any{"paused": true}, nil)
	c.restart(t, syscall.SIGKILL)
	var after struct{ Outputs []output }
	eventually(t, "the API answers", func() bool {
		res, err := http.Get(c.url + "/readyz")
		if err == nil {
			res.Body.Close()
		}
		return err == nil && res.StatusCode == http.StatusOK
	})
	c.api("GET", all, nil, &after)
	if len(after.Outputs) != 1 || after.Outputs[0].ID != rtmp.ID || after.Outputs[0].Status != "stopped" || strings.Contains(after.Outputs[0].URL, first.ID) {
		t.Errorf("after a kill: %+v", after.Outputs)
	}
}

// Whatever becomes of the child that converts a destination's sound (it is missing,
// dies, hangs, or writes nonsense), the destination gets every picture over one
// connection, with some sound. No child runs for a destination that is paused.
//
// FAULTS F12
func TestOutputsOutliveChildren(t *testing.T) {
	parallel(t, nil)
	sink := startCloud(t, "")
	for name, script := range map[string]string{
		"missing": "", "dies": "exit 1", "hangs": "exec sleep 1000", "nonsense": "while echo nonsense; do sleep 0.1; done",
	} {
		t.Run(name, func(t *testing.T) {
			parallel(t, waiting)
			dir := t.TempDir()
			if script != "" {
				if err := os.WriteFile(filepath.Join(dir, "ffmpeg"), []byte("#!/bin/sh\nPATH=/usr/bin:/bin\n"+script+"\n"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			c := startCloud(t, "outbound: {allow_private: true}\n", "PATH="+dir)
			s, to := c.newStream(), sink.newStream()
			encodeOpus(t, beeping).publishWHIP(t, s.Ingest["whip"])
			c.wantStatus(s.ID, "live")
			var o output
			all := "/api/v1/streams/" + s.ID + "/outputs"
			c.api("POST", all, map[string]any{"url": to.Ingest["rtmp"], "name": "sink"}, &o)
			sink.wantStatus(to.ID, "live")
			before, begun := c.sent(s.ID).Stats.Frames, sink.sent(to.ID).Stats.Frames
			time.Sleep(8 * time.Second) // a hang is noticed in the fourth
			in, out := c.sent(s.ID).Stats.Frames-before, sink.sent(to.ID).Stats.Frames-begun
			if in < 150 || out+15 < in || in+15 < out { // asked one after the other, on a busy machine
				t.Errorf("%d pictures came, %d went out", in, out)
			}
			if got := c.sent(s.ID).output("sink"); got.Status != "active" || got.Connects != 1 || got.Dropped != 0 || sink.sent(to.ID).Stats.Sound != "aac" {
				t.Errorf("%+v, sound %s", got, sink.sent(to.ID).Stats.Sound)
			}
			c.api("PATCH", all+"/"+o.ID, map[string]any{"paused": true}, nil)
			if script == "" {
				return
			}
			eventually(t, "no child is left", func() bool {
				_, _, body := get(t, c.url+"/metrics")
				return strings.Contains(string(body), "\nglimpse_ffmpeg_children 0\n")
			})
		})
	}
}
