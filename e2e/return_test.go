package e2e

import (
	"fmt"
	"testing"
	"time"
)

// countLive counts, in a page, pictures that follow another one closely, in time
// and on the media's own line: held ones are 200 ms apart.
const countLive = `(() => {
	const v = document.querySelector('video');
	let last = null;
	window.livePictures = 0;
	const shown = (now, frame) => {
		if (last !== null && frame.mediaTime - last < 0.15) window.livePictures++;
		last = frame.mediaTime;
		v.requestVideoFrameCallback(shown);
	};
	v.requestVideoFrameCallback(shown);
})()`

// livePictures counts the pictures of a framecrc reader, from a line on, that
// follow another one closely, and returns the number of the next line.
func (p *process) livePictures(from int) (count, next int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, second := int64(-1<<40), int64(0)
	for i, line := range p.lines {
		var track, dts int64
		if n, _ := fmt.Sscanf(line, "#tb 0: 1/%d", &dts); n == 1 {
			second = dts
		}
		if n, _ := fmt.Sscanf(line, "%d, %d,", &track, &dts); i >= from && n == 2 && track == 0 {
			if dts-last < second*15/100 {
				count++
			}
			last = dts
		}
	}
	return count, len(p.lines)
}

// A publisher is killed and comes back by WHIP, from a browser, and one by WHIP is
// killed and comes back by every protocol. Readers by RTMP, SRT, WebRTC, LL-HLS and
// DASH are never closed or loaded anew and come to show live pictures; by RTMP and
// SRT at most 2 s after the return. What pages take is told but has no bound here:
// one browser encodes and shows three streams. GLIMPSE_LONG adds more returns.
//
// F1
func TestPublisherReturnsByWHIP(t *testing.T) {
	t.Parallel()
	c := startCloud(t, withSRT)
	s := c.newStream()
	b := startBrowser(t)
	ways := map[string]func(n int) (kill func()){
		"rtmp": func(int) func() { return killer(t, publish(t, s.Ingest["rtmp"])) },
		"srt":  func(int) func() { return killer(t, publishTo(t, "mpegts", s.Ingest["srt"])) },
		"whip": func(n int) func() {
			page := fmt.Sprint("camera ", n)
			b.camera(c, page, s.Ingest["whip"])
			return func() { b.do(nil, "close", page) }
		},
	}
	kill := ways["rtmp"](0)
	c.wantStatus(s.ID, "live")

	readers := map[string]*process{}
	for _, output := range []string{"rtmp", "srt"} {
		readers[output] = start(t, "ffmpeg "+output+" reader", nil, "ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning",
			"-i", s.Play[output], "-c", "copy", "-map", "0:v", "-f", "framecrc", "-")
		readers[output].waitLine(`^0, +\d`, 0)
	}
	pagesOf := []string{"webrtc", "hls", "dash"}
	for _, page := range pagesOf {
		if page == "dash" {
			b.do(nil, "open", page, serveDash(t, s.Play["dash"]))
		} else {
			b.do(nil, "open", page, s.Play["page"]+"?protocol="+page)
		}
		b.do(nil, "eval", page, countLive)
		b.do(nil, "eval", page, "window.neverReloaded = true")
		eventually(t, page+" plays", func() bool { return b.live(page) > 30 })
	}

	returns := []string{"whip", "srt"}
	if long {
		returns = []string{"whip", "whip", "srt", "whip", "rtmp"}
	}
	for i, way := range returns {
		kill()
		c.wantStatus(s.ID, "interrupted")
		time.Sleep(3 * time.Second) // the absence itself
		kill = ways[way](i)
		c.wantStatus(s.ID, "live")
		returned, lines, pages := time.Now(), map[string]int{}, map[string]int{}
		for output, r := range readers {
			_, lines[output] = r.livePictures(0)
		}
		for _, page := range pagesOf {
			pages[page] = b.live(page)
		}
		took := map[string]time.Duration{}
		within(t, patience, fmt.Sprintf("live pictures after a return by %s: so far %v", way, took), func() bool {
			since := time.Since(returned)
			for output, r := range readers {
				if n, _ := r.livePictures(lines[output]); n > 2 && took[output] == 0 {
					took[output] = since
				}
			}
			for _, page := range pagesOf {
				if took[page] == 0 && b.live(page) > pages[page]+2 {
					took[page] = since
				}
			}
			return len(took) == len(readers)+len(pagesOf)
		})
		t.Logf("back by %s: %v", way, took)
		for _, reader := range []string{"rtmp", "srt"} {
			if took[reader] > 2*time.Second {
				t.Errorf("back by %s: %s shows live pictures after %v", way, reader, took[reader])
			}
		}
	}
	for output, r := range readers {
		select {
		case <-r.done:
			t.Errorf("the %s reader was closed: %s", output, r.tail(5))
		default:
		}
	}
	for _, page := range pagesOf {
		var same bool
		if b.do(&same, "eval", page, "window.neverReloaded === true"); !same {
			t.Errorf("%s was loaded anew", page)
		}
		b.wantNoFaults(page)
	}
	var begun int
	if b.do(&begun, "eval", "webrtc", "performance.getEntriesByType('resource').filter((r) => r.name.endsWith('/whep')).length"); begun != 1 {
		t.Errorf("WebRTC began %d times", begun)
	}
}

// live reads a page's count of live pictures.
func (b *browser) live(page string) (count int) {
	b.t.Helper()
	b.do(&count, "eval", page, "window.livePictures")
	return count
}

// killer kills a process.
func killer(t *testing.T, p *process) func() {
	return func() {
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
	}
}
