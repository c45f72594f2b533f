package e2e

import (
	"net/http"
	"testing"
)

// sent is what browser.mjs says of a browser that publishes.
type sent struct{ Frames, Keys, Plis, Nacks, Bytes, Width int }

// camera opens a page of the server's that publishes the browser's fake camera.
func (b *browser) camera(c *cloud, page, url string) {
	b.t.Helper()
	b.do(nil, "open", page, c.url+"/healthz")
	b.do(nil, "publish", page, url)
}

// C48: a browser publishes its camera by WHIP; it is watched by WebRTC and by
// LL-HLS, with sound; it leaves by DELETE.
func TestChromiumPublishesByWHIP(t *testing.T) {
	t.Parallel()
	c := startCloud(t, "")
	s := c.newStream()
	b := startBrowser(t)
	b.camera(c, "camera", s.Ingest["whip"])
	c.wantStatus(s.ID, "live")
	b.do(nil, "open", "whep", s.Play["page"])
	b.do(nil, "open", "hls", s.Play["page"], map[string]any{"noWebRTC": true})
	b.waitPlayer("whep", "glimpse.state === 'live' && glimpse.protocol === 'webrtc'")
	b.wantPlaying("whep")
	b.waitPlayer("hls", "glimpse.state === 'live' && glimpse.protocol === 'hls'")
	b.wantPlaying("hls")
	var out sent
	b.do(&out, "sent", "camera")
	// The first seconds and each segment begin with a key frame that was asked for.
	if out.Keys < 3 || out.Plis < 2 || out.Keys > out.Frames/20 {
		t.Errorf("%+v", out)
	}
	var status int
	b.do(&status, "eval", "camera", "fetch(window.publisher.location, {method: 'DELETE'}).then((r) => r.status)")
	if status != http.StatusOK {
		t.Errorf("DELETE: %d", status)
	}
	c.wantStatus(s.ID, "interrupted")
	b.wantNoFaults("whep")
	b.wantNoFaults("hls")
}
