package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// dashPage is a page of somebody else that plays an MPD: window.dash says how.
const dashPage = `<!DOCTYPE html>
<meta charset="utf-8"><title>dash.js</title>
<video autoplay controls width="640"></video>
<script src="dash.js"></script>
<script>
const video = document.querySelector('video');
const player = dashjs.MediaPlayer().create();
window.seen = { errors: [], stalls: 0, first: 0 };
player.on('error', (e) => seen.errors.push(e.error.code + ' ' + e.error.message));
video.addEventListener('waiting', () => { if (seen.first) seen.stalls++; });
video.addEventListener('timeupdate', () => { if (!seen.first && video.videoWidth) seen.first = performance.now(); });
player.initialize(video, %q, true);
seen.latency = () => player.getCurrentLiveLatency();
</script>`

// serveDash is another origin with a page for an MPD.
func serveDash(t *testing.T, mpd string) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /dash.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, "node_modules/dashjs/dist/modern/umd/dash.all.min.js")
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, dashPage, mpd)
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL + "/"
}

// dash.js on a page of another origin plays the MPD: pictures move, sound is
// heard, nothing stalls, and it stays near the live edge.
//
// B20
func TestDashPlayer(t *testing.T) {
	t.Parallel()
	c := startCloud(t, "")
	s := c.newStream()
	publish(t, s.Ingest["rtmp"])
	mpd := s.Play["dash"]
	eventually(t, "the MPD is there", func() bool {
		code, _, _ := get(t, mpd)
		return code == http.StatusOK
	})
	time.Sleep(5 * time.Second) // the stream has some past
	b := startBrowser(t)
	b.do(nil, "open", "dash", serveDash(t, mpd))
	eventually(t, "dash.js shows a picture", func() bool {
		var ok bool
		return b.try(&ok, "eval", "dash", "seen.first > 0") == "" && ok
	})
	for range 2 {
		b.wantPlaying("dash")
	}
	var seen struct {
		Errors  []string
		Stalls  int
		First   float64
		Latency float64
	}
	b.do(&seen, "eval", "dash", "({ errors: seen.errors, stalls: seen.stalls, first: seen.first, latency: seen.latency() })")
	if len(seen.Errors) > 0 || seen.Stalls > 0 {
		t.Errorf("%d stalls, errors %q", seen.Stalls, seen.Errors)
	}
	if seen.Latency < 1 || seen.Latency > 4 {
		t.Errorf("%.1f s behind live", seen.Latency)
	}
	t.Logf("first picture after %.0f ms, %.2f s behind live", seen.First, seen.Latency)
	b.wantNoFaults("dash")
}
