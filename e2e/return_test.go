package e2e

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"
)

// backWithin is how soon after a publisher's return every viewer sees it.
const backWithin = 2 * time.Second

// absence is one of a publisher, which ends in some way.
type absence struct {
	way   string
	takes time.Duration
}

// A publisher is killed and comes back, by WHIP from a browser and by every other
// protocol. Readers by RTMP, SRT, WebRTC, LL-HLS and DASH are never closed and show
// live pictures at most 2 s after the return. So do pages by WebRTC, hls.js and
// dash.js, each in a browser of its own, without being loaded anew; how soon is asked
// of them in the long run only, where nothing else takes the processor. The page with
// dash.js is a stranger's that does what docs/players.md advises.
// GLIMPSE_LONG adds more and longer absences. Four browsers: no other test beside it.
//
// F1
func TestPublisherReturns(t *testing.T) {
	alone(t)
	absences := []absence{{"whip", 3 * time.Second}, {"srt", 3 * time.Second}}
	if long {
		absences = []absence{{"whip", 3 * time.Second}, {"whip", 20 * time.Second}, {"srt", 59 * time.Second}, {"whip", 3 * time.Second},
			{"rtmp", 20 * time.Second}, {"rtmp", 3 * time.Second}, {"srt", 3 * time.Second}, {"srt", 3 * time.Second}}
	}
	c := startCloud(t, withSRT)
	var s stream
	if code := c.api("POST", "/api/v1/streams", map[string]any{"resume_window": 120}, &s); code != 201 {
		t.Fatalf("POST /api/v1/streams: %d", code)
	}
	camera := startBrowser(t)
	ways := map[string]func(n int) (kill func()){
		"rtmp": func(int) func() { return killer(t, publish(t, s.Ingest["rtmp"])) },
		"srt":  func(int) func() { return killer(t, publishTo(t, "mpegts", s.Ingest["srt"])) },
		"whip": func(n int) func() {
			page := fmt.Sprint("camera ", n)
			camera.camera(c, page, s.Ingest["whip"])
			return func() { camera.do(nil, "close", page) }
		},
	}
	kill := ways["rtmp"](0)
	c.wantStatus(s.ID, "live")

	readers := map[string]*sight{"rtmp": {}, "srt": {}, "whep": {}, "ll-hls": {}, "dash": {}}
	processes := []*process{
		readers["rtmp"].watchCopied(t, "rtmp", "-i", s.Play["rtmp"]),
		readers["srt"].watchCopied(t, "srt", "-i", s.Play["srt"]),
	}
	readers["whep"].watchPackets(t, s.Play["whep"])
	readers["ll-hls"].watchParts(t, s.Play["hls"])
	readers["dash"].watchSegments(t, s.Play["dash"])
	pages := map[string]*browser{"webrtc": startBrowser(t), "hls": startBrowser(t), "dash": startBrowser(t)}
	for page, b := range pages {
		if page == "dash" {
			b.do(nil, "open", page, serveDash(t, s.Play["dash"])+"?jump")
		} else {
			b.do(nil, "open", page, s.Play["page"]+"?protocol="+page)
		}
		b.do(nil, "eval", page, pageSight+"; window.neverReloaded = true")
		eventually(t, page+" plays", func() bool { return b.number(page, "sight.live") > 30 })
	}

	for i, a := range absences {
		kill()
		for _, r := range readers {
			r.forget()
		}
		for page, b := range pages {
			b.do(nil, "eval", page, "sight.forget()")
		}
		c.wantStatus(s.ID, "interrupted")
		time.Sleep(a.takes) // the absence itself
		kill = ways[a.way](i)
		c.wantStatus(s.ID, "live")
		came := time.Now()
		took := map[string]time.Duration{}
		for deadline := came.Add(patience); len(took) < len(readers)+len(pages) && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
			for name, r := range readers {
				if at := r.returned(); !at.IsZero() {
					took[name] = at.Sub(came)
				}
			}
			for page, b := range pages {
				// Who stood still may show some older pictures first.
				if at := time.UnixMilli(int64(b.number(page, "sight.returned()"))); at.After(came.Add(-time.Second)) {
					took["page by "+page] = at.Sub(came)
				}
			}
		}
		if len(took) < len(readers)+len(pages) {
			for page, b := range pages {
				var v map[string]any
				b.do(&v, "eval", page, playing)
				t.Logf("the page by %s: %v", page, v)
			}
			t.Fatalf("back by %s: %v after the return only these show live pictures: %v", a.way, patience, took)
		}
		for _, name := range slices.Sorted(maps.Keys(took)) {
			t.Logf("away for %v, back by %s: %s after %v", a.takes, a.way, name, took[name].Round(10*time.Millisecond))
			_, reader := readers[name]
			if took[name] > backWithin && (reader || long) {
				t.Errorf("back by %s: %s shows live pictures after %v", a.way, name, took[name])
			}
		}
	}
	for _, p := range processes {
		select {
		case <-p.done:
			t.Errorf("%s was closed: %s", p.name, p.tail(5))
		default:
		}
	}
	for page, b := range pages {
		var same bool
		if b.do(&same, "eval", page, "window.neverReloaded === true"); !same {
			t.Errorf("%s was loaded anew", page)
		}
		b.wantNoFaults(page)
	}
	if n := pages["webrtc"].number("webrtc", "performance.getEntriesByType('resource').filter((r) => r.name.endsWith('/whep')).length"); n != 1 {
		t.Errorf("WebRTC began %g times", n)
	}
}

// playing is how a page's video stands.
const playing = `(() => {
	const v = document.querySelector('video'), ends = [...Array(v.buffered.length).keys()].map((i) => [v.buffered.start(i), v.buffered.end(i)]);
	return { at: v.currentTime, ends, rate: v.playbackRate, seeking: v.seeking, paused: v.paused, ready: v.readyState, sight: window.sight, player: window.glimpse };
})()`

// number evaluates an expression in a page.
func (b *browser) number(page, expression string) (n float64) {
	b.t.Helper()
	b.do(&n, "eval", page, expression)
	return n
}

// killer kills a process.
func killer(t *testing.T, p *process) func() {
	return func() {
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
	}
}
