package e2e

import (
	"strings"
	"testing"
)

// The player plays by WebRTC at once, with sound after one click, and falls
// back to LL-HLS by itself where WebRTC gets through nowhere.
//
// E5 E22: half a second at most behind the encoder
// A40 B21 B22 B46 C43 C47 C48 D2 D24 E43
func TestPlayerPage(t *testing.T) {
	parallel(t, browsers)
	c := startCloud(t, "")
	s := c.newStream()
	b := startBrowser(t)

	b.do(nil, "open", "early", s.Play["page"]) // before there is a stream
	b.waitPlayer("early", "glimpse.state === 'waiting'")
	publish(t, s.Ingest["rtmp"])
	b.waitPlayer("early", "glimpse.state === 'live' && glimpse.protocol === 'webrtc'")
	var muted bool
	b.do(&muted, "eval", "early", "document.querySelector('video').muted")
	if !muted {
		t.Error("the page does not start muted")
	}
	b.do(nil, "click", "early", "text=/sound on/i")
	b.wantPlaying("early")
	b.waitPlayer("early", "glimpse.latencyMs > 0 && glimpse.latencyMs < 500 && glimpse.viewers >= 1")
	b.wantNoFaults("early")
	b.do(nil, "close", "early")

	b.do(nil, "open", "fallback", s.Play["page"], map[string]any{"noWebRTC": true})
	b.waitPlayer("fallback", "glimpse.state === 'live' && glimpse.protocol === 'hls'")
	b.do(nil, "click", "fallback", "text=/sound on/i")
	b.wantPlaying("fallback")
	b.wantNoFaults("fallback")
}

// A page that is open while the publisher goes away says so and plays again by
// itself.
func TestPlayerPageRecovers(t *testing.T) {
	parallel(t, browsers)
	c := startCloud(t, "")
	s := c.newStream()
	first := publish(t, s.Ingest["rtmp"])
	b := startBrowser(t)
	b.do(nil, "open", "webrtc", s.Play["page"])
	b.do(nil, "open", "hls", s.Play["page"]+"?protocol=hls")
	b.waitPlayer("webrtc", "glimpse.state === 'live'")
	b.waitPlayer("hls", "glimpse.state === 'live' && glimpse.protocol === 'hls'")
	first.stop()
	b.waitPlayer("webrtc", "glimpse.state === 'reconnecting'")
	b.waitPlayer("hls", "glimpse.state === 'reconnecting'")
	publish(t, s.Ingest["rtmp"])
	for _, page := range []string{"webrtc", "hls"} {
		b.waitPlayer(page, "glimpse.state === 'live'")
		b.do(nil, "click", page, "text=/sound on/i")
		b.wantPlaying(page)
	}
}

// The operator's page: the link printed at the start logs in once; streams are
// listed, made, shown and deleted.
func TestStreamsPage(t *testing.T) {
	parallel(t, browsers)
	c := startCloud(t, "")
	m, _ := c.waitLine(`(http://127\.0\.0\.1:\d+/#token=\S+)`, 0)
	s := c.newStream()
	publish(t, s.Ingest["rtmp"])
	b := startBrowser(t)
	b.do(nil, "open", "streams", m[1])
	eventually(t, "the list shows the stream as live", func() bool {
		var text string
		return b.try(&text, "text", "streams") == "" && containsAll(strings.ToLower(text), s.ID, "live")
	})
	var url string
	b.do(&url, "url", "streams")
	if containsAll(url, "token=") {
		t.Errorf("the token stays in the address: %s", url)
	}
	b.wantNoFaults("streams")
	b.do(nil, "open", "again", m[1]) // used up
	eventually(t, "a used link asks for the token", func() bool {
		var text string
		return b.try(&text, "text", "again") == "" && containsAll(strings.ToLower(text), "token") && !containsAll(text, s.ID)
	})
}
