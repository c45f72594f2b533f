package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// dashPage is a page of somebody else that plays an MPD: window.seen says how.
const dashPage = `<!DOCTYPE html>
<meta charset="utf-8"><title>dash.js</title>
<video autoplay controls width="640"></video>
<script src="player.js"></script>
<script>
const video = document.querySelector('video');
const player = dashjs.MediaPlayer().create();
window.seen = { errors: [], stalls: 0, first: 0 };
player.on('error', (e) => seen.errors.push(e.error.code + ' ' + e.error.message));
video.addEventListener('waiting', () => { if (seen.first) seen.stalls++; });
video.addEventListener('timeupdate', () => { if (!seen.first && video.videoWidth) seen.first = performance.now(); });
player.initialize(video, %q, true);
seen.latency = () => player.getCurrentLiveLatency();
%s
</script>`

// serveDash is another origin with a page for an MPD, and with one at ?jump that does
// what docs/players.md advises.
func serveDash(t *testing.T, mpd string) string {
	t.Helper()
	advice := shownIn(t, "players.md", "## dash.js", "js")
	return servePlayer(t, "dashjs/dist/modern/umd/dash.all.min.js", func(query url.Values) string {
		if query.Has("jump") {
			return fmt.Sprintf(dashPage, mpd, advice)
		}
		return fmt.Sprintf(dashPage, mpd, "")
	})
}

// wantSmooth fails unless a page plays for 6 s without a stall, counted by an
// expression of the page. A busy machine may need three attempts.
func (b *browser) wantSmooth(page, stalls string) {
	b.t.Helper()
	var before, after int
	for range 3 {
		b.do(&before, "eval", page, stalls)
		b.wantPlaying(page)
		b.wantPlaying(page)
		b.do(&after, "eval", page, stalls)
		if after == before {
			return
		}
	}
	b.t.Errorf("%s: it stalls again and again: %d times so far", page, after)
}

// wantBehind fails unless a page comes to stand between least and most seconds
// behind live, as an expression of the page tells; nobody comes nearer than least.
func (b *browser) wantBehind(page, expression string, least, most float64) {
	b.t.Helper()
	var behind float64
	eventually(b.t, fmt.Sprintf("%s stands less than %g s behind live", page, most), func() bool {
		return b.try(&behind, "eval", page, expression) == "" && behind > least && behind < most
	})
	b.t.Logf("%s: %.2f s behind live", page, behind)
}

// wantPast waits until a stream has so many segments of its picture and its sound.
func (c *cloud) wantPast(s stream, segments int) {
	c.t.Helper()
	list := strings.Replace(s.Play["dash"], "index.mpd", "public.mpd", 1) // not a viewer
	eventuallyIn(c.t, fmt.Sprintf("the stream has some past: %d segments of each track", segments), 2*patience, func() bool {
		code, _, body := get(c.t, list)
		return code == http.StatusOK && bytes.Count(body, []byte("<S ")) >= 2*segments
	})
}

// dash.js on a page of another origin plays the MPD: pictures move, sound is
// heard, nothing stalls, and it stays less than 3 s behind live.
//
// B20
func TestDashPlayer(t *testing.T) {
	parallel(t, browsers)
	c := startCloud(t, "")
	s := c.newStream()
	publish(t, s.Ingest["rtmp"])
	mpd := s.Play["dash"]
	c.wantPast(s, 4)
	b := startBrowser(t)
	b.do(nil, "open", "dash", serveDash(t, mpd))
	eventually(t, "dash.js shows a picture", func() bool {
		var ok bool
		return b.try(&ok, "eval", "dash", "seen.first > 0") == "" && ok
	})
	b.wantSmooth("dash", "seen.stalls")
	// A busy machine starts late, and dash.js makes good 40 ms a second.
	b.wantBehind("dash", "seen.latency()", 1, 3)
	var seen struct {
		Errors []string
		First  float64
	}
	b.do(&seen, "eval", "dash", "({ errors: seen.errors, first: seen.first })")
	if len(seen.Errors) > 0 {
		t.Errorf("errors %q", seen.Errors)
	}
	var now struct {
		Stats struct{ Viewers map[string]int }
	}
	if c.api("GET", "/api/v1/streams/"+s.ID, nil, &now); now.Stats.Viewers["dash"] != 1 { // asked many times, in one session
		t.Errorf("viewers %v", now.Stats.Viewers)
	}
	t.Logf("first picture after %.0f ms", seen.First)
	b.wantNoFaults("dash")
}

// dash.js that is there from the stream's first second plays at once, with
// B-frames, and goes on while the publisher is away and after.
func TestDashPlayerRecovers(t *testing.T) {
	parallel(t, browsers)
	c := startCloud(t, "")
	s := c.newStream()
	first := publish(t, s.Ingest["rtmp"], reordered...)
	mpd := s.Play["dash"]
	b := startBrowser(t)
	eventually(t, "the MPD is there", func() bool {
		code, _, _ := get(t, mpd)
		return code == http.StatusOK
	})
	b.do(nil, "open", "dash", serveDash(t, mpd))
	waitFor := func(condition string) {
		eventually(t, condition, func() bool {
			var ok bool
			return b.try(&ok, "eval", "dash", condition) == "" && ok
		})
	}
	waitFor("seen.first > 0")
	b.wantPlaying("dash")
	first.stop()
	c.wantStatus(s.ID, "interrupted")
	waitFor("(window.left ??= video.currentTime) + 4 < video.currentTime") // on held pictures
	publish(t, s.Ingest["rtmp"], reordered...)
	c.wantStatus(s.ID, "live")
	waitFor("(window.back ??= video.currentTime) + 4 < video.currentTime") // and past them
	b.wantPlaying("dash")
	var holes int
	if b.do(&holes, "eval", "dash", "video.buffered.length"); holes != 1 {
		t.Errorf("%d stretches are buffered, want one without a hole", holes)
	}
	b.wantNoFaults("dash")
}

// A page that does what docs/players.md advises is at the live edge again at once when
// it is late, which takes dash.js alone 6 s, and plays again when a jump finds nothing
// to load, for which dash.js alone waits 20 s.
//
// B20
func TestDashPlayerJumps(t *testing.T) {
	if !long {
		t.Skip("GLIMPSE_LONG: it judges dash.js by the clock")
	}
	alone(t)
	c := startCloud(t, "")
	s := c.newStream()
	publish(t, s.Ingest["rtmp"])
	c.wantStatus(s.ID, "live")
	b := startBrowser(t)
	time.Sleep(5 * time.Second) // some past that the page does not load
	b.do(nil, "open", "dash", serveDash(t, s.Play["dash"])+"?jump")
	eventually(t, "dash.js shows a picture", func() bool { return b.number("dash", "seen.first") > 0 })
	b.wantPlaying("dash")
	b.wantPlaying("dash")
	took := func(what string, most float64, begin string) {
		t.Helper()
		b.do(nil, "eval", "dash", "seen.begun = performance.now(); seen.took = 0; "+begin+`;
			seen.watch = setInterval(() => {
				if (seen.took || video.seeking || !(seen.latency() < 2.2)) return;
				seen.took = performance.now() - seen.begun;
			}, 50); void 0`)
		eventually(t, "live again when it is "+what, func() bool { return b.number("dash", "seen.took") > 0 })
		seconds := b.number("dash", "seen.took") / 1000
		if t.Logf("%s: live again after %.1f s", what, seconds); seconds > most {
			t.Errorf("%s: live again after %.1f s, want %.0f at most", what, seconds, most)
		}
		b.do(nil, "eval", "dash", "clearInterval(seen.watch)")
	}
	took("late", 4, "video.currentTime -= 4")
	const unanswered = `{
		const { fetch } = window, { send } = XMLHttpRequest.prototype;
		window.fetch = () => new Promise(() => {});
		XMLHttpRequest.prototype.send = () => {};
		%s;
		setTimeout(() => { window.fetch = fetch; XMLHttpRequest.prototype.send = send; }, 2000);
	}`
	took("without an answer", 15, fmt.Sprintf(unanswered, "video.currentTime = player.getDvrWindow().start + 1"))
	b.wantPlaying("dash")
	took("dry", 15, fmt.Sprintf(unanswered, `let dry = false;
		video.addEventListener('waiting', () => { dry = true; }, { once: true });
		seen.latency = () => dry && video.readyState > 2 ? player.getCurrentLiveLatency() : 9`))
	b.wantPlaying("dash")
}
