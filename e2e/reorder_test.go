package e2e

import (
	"regexp"
	"strconv"
	"testing"
)

var childrenLine = regexp.MustCompile(`(?m)^glimpse_ffmpeg_children (\d+)$`)

// children is how many ffmpeg processes the server runs.
func (c *cloud) children() int {
	c.t.Helper()
	_, _, metrics := get(c.t, c.url+"/metrics")
	m := childrenLine.FindSubmatch(metrics)
	if m == nil {
		c.t.Fatal("no glimpse_ffmpeg_children among the metrics")
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n
}

// OBS and x264 send B-frames by default. The page plays such a stream by WebRTC
// all the same: the pictures are put in order once, for all viewers, while there
// are any.
func TestReorderedPicturesByWebRTC(t *testing.T) {
	parallel(t, browsers)
	c := startCloud(t, "")
	s := c.newStream()
	publish(t, s.Ingest["rtmp"], "-preset", "superfast", "-b_strategy", "0", "-bf", "3", "-profile:v", "high", "-g", "120")
	b := startBrowser(t)
	for _, page := range []string{"first", "second"} {
		b.do(nil, "open", page, s.Play["page"]+"?protocol=webrtc")
		b.waitPlayer(page, "glimpse.state === 'live' && glimpse.protocol === 'webrtc'")
		b.do(nil, "click", page, "text=/sound on/i")
		b.wantPlaying(page)
	}
	if n := c.children(); n != 2 { // pictures and sound
		t.Errorf("%d children for two viewers", n)
	}
	b.wantNoFaults("first")
	b.do(nil, "close", "first")
	b.wantPlaying("second")
	b.do(nil, "close", "second")
	// A page that is closed may not come to say so: its checks are missed for 30 s.
	eventuallyIn(t, "nothing is converted without viewers", 2*patience, func() bool { return c.children() == 0 })
}

// A publisher with B-frames plays in the page by LL-HLS, without a stall.
func TestReorderedPicturesInPage(t *testing.T) {
	alone(t)
	c := startCloud(t, "")
	s := c.newStream()
	publish(t, s.Ingest["rtmp"], reordered...)
	b := startBrowser(t)
	b.do(nil, "open", "hls", s.Play["page"]+"?protocol=hls")
	b.waitPlayer("hls", "glimpse.state === 'live' && glimpse.protocol === 'hls'")
	b.do(nil, "click", "hls", "text=/sound on/i")
	b.waitPlayer("hls", "document.querySelector('video').currentTime > 0")
	b.do(nil, "eval", "hls", "window.stalls = 0; document.querySelector('video').addEventListener('waiting', () => window.stalls++)")
	b.wantSmooth("hls", "window.stalls")
	b.wantNoFaults("hls")
}
