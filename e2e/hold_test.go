package e2e

import (
	"bytes"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// playlistWatch asks for a media playlist again and again and keeps what must
// never happen.
type playlistWatch struct {
	stop chan struct{}
	wg   sync.WaitGroup

	mu     sync.Mutex
	asked  int
	newest int // media sequence number
	faults []string
}

var mediaSequence = regexp.MustCompile(`#EXT-X-MEDIA-SEQUENCE:(\d+)`)

func watchPlaylist(t *testing.T, url string) *playlistWatch {
	w := &playlistWatch{stop: make(chan struct{})}
	w.wg.Go(func() {
		for {
			select {
			case <-w.stop:
				return
			case <-time.After(200 * time.Millisecond):
			}
			code, _, body := get(t, url)
			w.look(code, string(body))
		}
	})
	t.Cleanup(w.end)
	return w
}

func (w *playlistWatch) look(code int, body string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	m := mediaSequence.FindStringSubmatch(body)
	switch {
	case code != 200 || m == nil:
		w.faults = append(w.faults, "answer "+strconv.Itoa(code))
		return
	case strings.Contains(body, "#EXT-X-DISCONTINUITY\n"):
		w.faults = append(w.faults, "a discontinuity")
	}
	n, _ := strconv.Atoi(m[1])
	if n < w.newest {
		w.faults = append(w.faults, "the media sequence fell to "+m[1])
	}
	w.newest = n
}

func (w *playlistWatch) end() {
	select {
	case <-w.stop:
	default:
		close(w.stop)
	}
	w.wg.Wait()
}

// The publisher is killed and comes back by another protocol. Readers by RTMP,
// SRT, LL-HLS and WebRTC, in ffmpeg and in pages, are never closed and never
// start anew: they get held pictures without an error meanwhile, and live ones
// afterwards. Playlists answer all the time, without a discontinuity.
//
// GLIMPSE_LONG adds absences of 20 and 59 s.
func TestPublisherAway(t *testing.T) {
	parallel(t, browsers)
	absences := []time.Duration{3 * time.Second}
	if os.Getenv("GLIMPSE_LONG") != "" {
		absences = append(absences, 20*time.Second, 59*time.Second)
	}
	c := startCloud(t, withSRT)
	var s stream
	if code := c.api("POST", "/api/v1/streams", map[string]any{"resume_window": 120}, &s); code != 201 {
		t.Fatalf("POST /api/v1/streams: %d", code)
	}
	protocols := []struct{ format, url string }{{"flv", s.Ingest["rtmp"]}, {"mpegts", s.Ingest["srt"]}}
	publisher := publishTo(t, protocols[0].format, protocols[0].url)
	c.wantStatus(s.ID, "live")

	readers := map[string]*process{}
	for _, output := range []string{"rtmp", "srt", "hls"} {
		readers[output] = start(t, "ffmpeg "+output+" reader", nil, "ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning",
			"-err_detect", "explode", "-i", s.Play[output], "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "null", "-progress", "pipe:1", "-")
		readers[output].waitLine(`^frame=[1-9]`, 0)
	}
	b := startBrowser(t)
	pages := []string{"webrtc", "hls"}
	for _, page := range pages {
		b.do(nil, "open", page, s.Play["page"]+"?protocol="+page)
		b.waitPlayer(page, "glimpse.state === 'live' && glimpse.protocol === '"+page+"'")
		b.do(nil, "click", page, "text=/sound on/i")
	}
	playlist := watchPlaylist(t, strings.Replace(s.Play["hls"], "index.m3u8", "video.m3u8", 1))

	for i, away := range absences {
		if err := publisher.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		c.wantStatus(s.ID, "interrupted")
		for _, page := range pages {
			b.waitPlayer(page, "glimpse.state === 'reconnecting'")
		}
		held := map[string]int{}
		for output, r := range readers {
			held[output] = r.lastFrame()
		}
		time.Sleep(away) // the absence itself
		for output, r := range readers {
			if output == "hls" && away < 10*time.Second {
				continue // ffmpeg plays whole segments, some behind
			}
			if n := r.lastFrame() - held[output]; n < int(away/time.Second)*2 {
				t.Errorf("absence of %v: %s got %d pictures", away, output, n)
			}
		}
		next := protocols[(i+1)%2]
		publisher = publishTo(t, next.format, next.url)
		c.wantStatus(s.ID, "live")
		returned := time.Now()
		for _, page := range pages {
			b.waitPlayer(page, "glimpse.state === 'live'")
			t.Logf("absence of %v: %s is live again after %v", away, page, time.Since(returned).Round(10*time.Millisecond))
		}
		for _, page := range pages {
			b.wantPlaying(page)
		}
		for output, r := range readers {
			before := r.lastFrame()
			// A hold would give 150 pictures in that time.
			eventually(t, output+" gets live pictures again", func() bool { return r.lastFrame() > before+180 })
		}
	}

	for output, r := range readers {
		select {
		case <-r.done:
			t.Errorf("the %s reader was closed: %s", output, r.tail(5))
		default:
		}
		if n := r.count(complaint); n > 0 {
			t.Errorf("the %s reader complains:\n%s", output, complaints(r))
		}
	}
	for page, request := range map[string]string{"webrtc": "/whep", "hls": "/index.m3u8"} {
		var n int
		b.do(&n, "eval", page, "performance.getEntriesByType('resource').filter((r) => r.name.endsWith('"+request+"')).length")
		if n != 1 {
			t.Errorf("the page began %d times by %s", n, page)
		}
		b.wantNoFaults(page)
	}
	playlist.end()
	if len(playlist.faults) > 0 || playlist.asked < 20 {
		t.Errorf("the playlist, asked %d times: %q", playlist.asked, playlist.faults)
	}
}

// A publisher that stops sending, its connection open, is only called silent for
// 5 s; then its last picture is held. What it sends afterwards is live again from
// its next key frame on, in the same sessions and near the present. Processes are
// stopped; the browser, which other tests use, has a network that loses everything.
// SRT itself gives a peer up that says nothing for 5 s: that publisher is told, and
// comes again. SRT and WHIP are asked in the long run.
//
// F3
func TestPublisherStalls(t *testing.T) {
	parallel(t, nil)
	publishers := map[string]func(t *testing.T, c *cloud, b *browser, s stream) (stop, goOn func()){
		"rtmp": func(t *testing.T, _ *cloud, _ *browser, s stream) (stop, goOn func()) {
			return stalling(t, publish(t, s.Ingest["rtmp"]))
		},
		"srt": func(t *testing.T, _ *cloud, _ *browser, s stream) (stop, goOn func()) {
			p := publishTo(t, "mpegts", s.Ingest["srt"])
			stop, wake := stalling(t, p)
			return stop, func() {
				wake()
				eventually(t, "the publisher ends", p.ended)
				publishTo(t, "mpegts", s.Ingest["srt"])
			}
		},
		"whip": func(t *testing.T, c *cloud, b *browser, s stream) (stop, goOn func()) {
			m, _ := c.waitLine(`WebRTC\s+(127\.0\.0\.1:\d+)`, 0)
			network := newLossy(t, m[1])
			b.do(nil, "open", "camera", c.url+"/healthz", network.through())
			b.do(nil, "publish", "camera", s.Ingest["whip"])
			return func() { network.lose(100) }, func() { network.lose(0) }
		},
	}
	for protocol, begin := range publishers {
		if protocol != "rtmp" && !long {
			continue
		}
		t.Run(protocol, func(t *testing.T) {
			parallel(t, browsers)
			c := startCloud(t, withSRT)
			s := c.newStream()
			b := startBrowser(t)
			stop, goOn := begin(t, c, b, s)
			c.wantStatus(s.ID, "live")
			b.do(nil, "open", "page", s.Play["page"]+"?protocol=webrtc")
			b.waitPlayer("page", "glimpse.state === 'live'")
			b.do(nil, "click", "page", "text=/sound on/i")
			reader := start(t, "ffmpeg reader", nil, "ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning",
				"-err_detect", "explode", "-i", s.Play["rtmp"], "-map", "0:v:0", "-fps_mode", "passthrough",
				"-enc_time_base", "1:1000", // by the guessed rate a camera's pictures may have the same time
				"-f", "null", "-progress", "pipe:1", "-")
			reader.waitLine(`^frame=[1-9]`, 0)
			stop()
			eventually(t, "the status says that it sends nothing", func() bool {
				var now struct {
					Status string
					Stats  struct{ Notice string }
				}
				c.api("GET", "/api/v1/streams/"+s.ID, nil, &now)
				return now.Status == "live" && strings.Contains(now.Stats.Notice, "sends nothing")
			})
			c.wantStatus(s.ID, "interrupted")
			b.waitPlayer("page", "glimpse.state === 'reconnecting'")
			goOn()
			c.wantStatus(s.ID, "live")
			b.waitPlayer("page", "glimpse.state === 'live' && glimpse.latencyMs > 0 && glimpse.latencyMs < 1500")
			b.wantPlaying("page")
			before := reader.lastFrame()
			eventually(t, "the reader gets live pictures again", func() bool { return reader.lastFrame() > before+180 })
			if n := reader.count(complaint); n > 0 {
				t.Errorf("the reader complains:\n%s", complaints(reader))
			}
			var begun int
			b.do(&begun, "eval", "page", "performance.getEntriesByType('resource').filter((r) => r.name.endsWith('/whep')).length")
			if begun != 1 {
				t.Errorf("the page began %d times", begun)
			}
		})
	}
}

// stalling stops a process and lets it go on.
func stalling(t *testing.T, p *process) (stop, goOn func()) {
	signal := func(sig syscall.Signal) func() {
		return func() {
			t.Helper()
			if err := p.cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
		}
	}
	return signal(syscall.SIGSTOP), signal(syscall.SIGCONT)
}

// complaint is what ffmpeg says of a stream that is not whole.
const complaint = `(?i)error|corrupt|conceal|non-existing|missing picture|invalid|reference|non.monoton`

// complaints are the lines of a reader that are no progress.
func complaints(p *process) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b bytes.Buffer
	progress := regexp.MustCompile(`^\w+=`)
	for _, l := range p.lines {
		if !progress.MatchString(l) {
			b.WriteString(l + "\n")
		}
	}
	return b.String()
}
