package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// servePlayer is another origin with a published player, a file below node_modules, as
// player.js, and a page that uses it; query is the page's own.
func servePlayer(t *testing.T, file string, page func(query url.Values) string) (address string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /player.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, "node_modules/"+file)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, page(r.URL.Query()))
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL + "/"
}

// hlsPage is a page of somebody else that plays a playlist by hls.js as it is.
const hlsPage = `<!DOCTYPE html>
<meta charset="utf-8"><title>hls.js</title>
<video autoplay controls width="640"></video>
<script src="player.js"></script>
<script>
window.seen = { errors: [] };
const hls = new Hls();
hls.on(Hls.Events.ERROR, (_, e) => { if (e.fatal) seen.errors.push(e.details); });
hls.loadSource(%q);
hls.attachMedia(document.querySelector('video'));
// By the wall clock: the server's dates of the pictures, on the same machine.
seen.latency = () => (Date.now() - hls.playingDate.getTime()) / 1000;
</script>`

// hls.js on a page of another origin, and the player page by it, play less than
// 2 s behind live. Beside no other test: after a single stall hls.js stays a second
// further behind.
//
// C48
func TestHLSPlayer(t *testing.T) {
	alone(t)
	c := startCloud(t, "")
	s := c.newStream()
	publish(t, s.Ingest["rtmp"])
	c.wantStatus(s.ID, "live")
	page := servePlayer(t, "hls.js/dist/hls.min.js", func(url.Values) string { return fmt.Sprintf(hlsPage, s.Play["hls"]) })
	b := startBrowser(t)
	b.do(nil, "open", "hls.js", page)
	eventually(t, "hls.js plays picture and sound", func() bool {
		var ok bool
		return b.try(&ok, "eval", "hls.js", "(v => v.getVideoPlaybackQuality().totalVideoFrames > 30 && v.webkitAudioDecodedByteCount > 0)(document.querySelector('video'))") == "" && ok
	})
	b.wantBehind("hls.js", "seen.latency()", 0.2, 2)
	b.wantPlaying("hls.js")
	b.wantBehind("hls.js", "seen.latency()", 0.2, 2) // still, after 3 s
	var errors []string
	if b.do(&errors, "eval", "hls.js", "seen.errors"); len(errors) > 0 {
		t.Errorf("errors %q", errors)
	}
	b.wantNoFaults("hls.js")
	b.do(nil, "close", "hls.js")

	b.do(nil, "open", "page", s.Play["page"]+"?protocol=hls")
	b.waitPlayer("page", "glimpse.state === 'live' && glimpse.protocol === 'hls' && glimpse.latencyMs > 0")
	b.do(nil, "click", "page", "text=/sound on/i")
	b.wantPlaying("page")
	b.wantBehind("page", "glimpse.latencyMs / 1000", 0.2, 2)
	b.wantNoFaults("page")
}
