package e2e

import (
	"fmt"
	"net/url"
	"testing"
)

// videoJSPage is a page of somebody else that plays a playlist by Video.js, by
// whole segments: with llhls, Video.js 8.24 takes a segment that is not closed for
// as long as EXT-X-TARGETDURATION and begins beyond the live edge, where it waits
// for as long, and then plays without any buffer. What docs/players.md advises follows.
const videoJSPage = `<!DOCTYPE html>
<meta charset="utf-8"><title>Video.js</title>
<video id="v" class="video-js" autoplay controls width="640" height="360"></video>
<script src="player.js"></script>
<script>
window.seen = { errors: [] };
const player = videojs('v', { liveui: true, html5: { vhs: { llhls: %t } } });
player.on('error', () => seen.errors.push(player.error().message));
%s
player.src({ src: %q, type: 'application/x-mpegURL' });
</script>`

// serveVideoJS is another origin with a page for a playlist; with ?near it does what
// docs/players.md advises.
func serveVideoJS(t *testing.T, playlist string) string {
	t.Helper()
	advice := shownIn(t, "players.md", "## Video.js", "js")
	return servePlayer(t, "video.js/dist/video.min.js", func(query url.Values) string {
		if query.Has("near") {
			return fmt.Sprintf(videoJSPage, query.Has("llhls"), advice, playlist)
		}
		return fmt.Sprintf(videoJSPage, query.Has("llhls"), "", playlist)
	})
}

// Video.js on a page of another origin plays the playlist: pictures move, sound is
// heard, and a page that is told where to begin does not stand three times
// EXT-X-TARGETDURATION behind a stream that has been live for longer. With its low latency
// it begins as well, if late: no cache answers with the same list again.
//
// C48
func TestVideoJS(t *testing.T) {
	parallel(t, browsers)
	c := startCloud(t, "")
	s := c.newStream()
	publish(t, s.Ingest["rtmp"])
	c.wantStatus(s.ID, "live")
	b := startBrowser(t)
	url := serveVideoJS(t, s.Play["hls"])
	for _, player := range []struct {
		name, query string
		pictures    int
		past        int // segments of 2 s that there are then: more than it may be behind
	}{{"parts", "?llhls", 0, 1}, {"near", "?near", 30, 16}, {"segments", "", 30, 23}} {
		c.wantPast(s, player.past)
		b.do(nil, "open", player.name, url+player.query)
		shown := fmt.Sprintf("document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames > %d", player.pictures)
		eventuallyIn(t, player.name+": "+shown, 2*patience, func() bool {
			var ok bool
			return b.try(&ok, "eval", player.name, shown) == "" && ok
		})
		switch player.name {
		case "near": // six, up to two segments that are not closed or asked for yet, and what the machine took to begin
			b.wantPlaying(player.name)
			b.wantBehind(player.name, programTime, 1, 15)
		case "segments": // three times 12 s, and the same
			b.wantPlaying(player.name)
			b.wantBehind(player.name, programTime, 36, 45)
		}
		var errors []string
		if b.do(&errors, "eval", player.name, "seen.errors"); len(errors) > 0 {
			t.Errorf("%s: errors %q", player.name, errors)
		}
		b.wantNoFaults(player.name)
		b.do(nil, "close", player.name)
	}
}

// programTime is how far a page with Video.js is behind live, in seconds, by the wall
// clock that the list gives the segment that is shown; 0 when none is.
const programTime = `(() => {
	const at = player.currentTime(), is = player.tech(true).vhs.playlists.media().segments.find((s) => s.start <= at && at < s.end);
	return is ? (Date.now() - is.dateTimeObject) / 1000 - (at - is.start) : 0;
})()`
