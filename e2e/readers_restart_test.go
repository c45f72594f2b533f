package e2e

import (
	"bufio"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// again runs a command until the test is over, anew 300 ms after each of its ends, as
// encoders and players do that come back by themselves. line is called for each line
// that it writes, and may be nil.
func again(t *testing.T, argv []string, line func(string)) {
	t.Helper()
	task(t, func(over <-chan struct{}) {
		for {
			cmd := exec.Command(argv[0], argv[1:]...)
			out, err := cmd.StdoutPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Errorf("%s: %v", argv[0], err)
				return
			}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for lines := bufio.NewScanner(out); lines.Scan(); {
					if line != nil {
						line(lines.Text())
					}
				}
				_ = cmd.Wait()
			}()
			select {
			case <-over:
				_ = cmd.Process.Kill()
				<-ended
				return
			case <-ended:
			}
			select {
			case <-over:
				return
			case <-time.After(300 * time.Millisecond):
			}
		}
	})
}

// endings are the server's: it is killed, and in the long run ends well, too.
func endings() []syscall.Signal {
	if long {
		return []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM}
	}
	return []syscall.Signal{syscall.SIGKILL}
}

// The server is killed (and ends well, in the long run) and is there again on the same ports.
// The encoder comes back, and who reads by RTMP, SRT or HLS and asks again for what he
// had has pictures again by the same URLs; a page with dash.js goes on without being
// loaded anew, if it does what docs/players.md advises. (Our own page: TestPageOutlivesServer.)
//
// F13
func TestReadersOutliveServer(t *testing.T) {
	parallel(t, browsers)
	c := startCloud(t, withSRT)
	s := c.newStream()
	srt, err := url.Parse(s.Play["srt"])
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(c.config)
	if err != nil {
		t.Fatal(err)
	}
	kept := strings.Replace(string(config), withSRT, `srt: {addr: "`+srt.Host+"\"}\n", 1)
	if err := os.WriteFile(c.config, []byte(kept), 0o600); err != nil {
		t.Fatal(err)
	}
	film, err := pattern()
	if err != nil {
		t.Fatal(err)
	}
	again(t, []string{"ffmpeg", "-nostdin", "-loglevel", "fatal", "-re", "-stream_loop", "-1", "-i", film, "-c", "copy", "-f", "flv", s.Ingest["rtmp"]}, nil)
	c.wantStatus(s.ID, "live")
	readers := map[string]*atomic.Int64{"rtmp": {}, "srt": {}, "hls": {}}
	for name, pictures := range readers {
		again(t, framecrc("-i", s.Play[name], "-c", "copy"), func(line string) {
			if strings.HasPrefix(line, "0,") {
				pictures.Add(1)
			}
		})
	}
	b := startBrowser(t)
	b.do(nil, "open", "dash", serveDash(t, s.Play["dash"])+"?jump")
	b.do(nil, "eval", "dash", "window.shown = 0; (function count() { shown++; video.requestVideoFrameCallback(count); })()")
	eventually(t, "dash.js shows a picture", func() bool { return b.number("dash", "seen.first") > 0 })
	b.wantPlaying("dash")
	for _, signal := range endings() {
		c.restart(t, signal)
		before := b.number("dash", "shown") // fails on a page that was loaded anew
		came := time.Now()
		had := map[string]int64{}
		for name, pictures := range readers {
			had[name] = pictures.Load()
		}
		for _, name := range slices.Sorted(maps.Keys(readers)) {
			eventually(t, name+" has pictures again", func() bool { return readers[name].Load() > had[name]+30 })
			t.Logf("%v: %s has pictures again after %v", signal, name, time.Since(came).Round(100*time.Millisecond))
		}
		eventually(t, "dash.js plays again", func() bool { return b.number("dash", "shown") > before+90 }) // more than it had loaded
		t.Logf("%v: dash.js plays again after %v", signal, time.Since(came).Round(100*time.Millisecond))
		b.wantPlaying("dash")
	}
}
