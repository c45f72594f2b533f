package e2e

import (
	"syscall"
	"testing"
)

// Pages that are open while the server is killed and comes back play again by
// themselves, without a reload.
//
// B22
func TestPageOutlivesServer(t *testing.T) {
	t.Parallel()
	c := startCloud(t, "")
	s := c.newStream()
	publish(t, s.Ingest["rtmp"])
	b := startBrowser(t)
	b.do(nil, "open", "webrtc", s.Play["page"])
	b.do(nil, "open", "hls", s.Play["page"]+"?protocol=hls")
	for _, page := range []string{"webrtc", "hls"} {
		b.waitPlayer(page, "glimpse.state === 'live'")
		b.do(nil, "eval", page, "window.sameDocument = true")
	}
	c.restart(t, syscall.SIGKILL)
	for _, page := range []string{"webrtc", "hls"} {
		b.waitPlayer(page, "glimpse.state !== 'live'")
	}
	publish(t, s.Ingest["rtmp"])
	for _, page := range []string{"webrtc", "hls"} {
		b.waitPlayer(page, "glimpse.state === 'live' && glimpse.protocol === '"+page+"' && sameDocument")
		b.do(nil, "click", page, "text=/sound on/i")
		b.wantPlaying(page)
		b.wantNoFaults(page)
	}
}

// A stream that WebRTC cannot carry (the server refuses with 409) plays by
// LL-HLS at once, and the page knows why.
//
// C47
func TestPageOfRefusedWebRTC(t *testing.T) {
	t.Parallel()
	c := startCloud(t, "")
	s := c.newStream()
	publish(t, s.Ingest["rtmp"])
	b := startBrowser(t)
	b.do(nil, "open", "refused", s.Play["page"], map[string]any{"refuseWHEP": "this stream has B-frames"})
	b.waitPlayer("refused", "glimpse.state === 'live' && glimpse.protocol === 'hls' && glimpse.reason === 'this stream has B-frames'")
	b.do(nil, "click", "refused", "text=/sound on/i")
	b.wantPlaying("refused")
	b.wantNoFaults("refused")
}
