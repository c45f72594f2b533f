package e2e

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Pages that are open while the server is killed (and ends well, in the long run) and
// comes back play again by themselves, without a reload. Media sequence numbers go on
// rising and no name is used again, so nothing that is cached is ever wrong.
//
// B22
func TestPageOutlivesServer(t *testing.T) {
	parallel(t, browsers)
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
	playlist := strings.Replace(s.Play["hls"], "index.m3u8", "video.m3u8", 1)
	for _, signal := range endings() {
		before := newPlaylistState(t, playlist)
		c.restart(t, signal)
		came := time.Now()
		for _, page := range []string{"webrtc", "hls"} {
			b.waitPlayer(page, "glimpse.state !== 'live'")
		}
		publish(t, s.Ingest["rtmp"])
		for _, page := range []string{"webrtc", "hls"} {
			b.waitPlayer(page, "glimpse.state === 'live' && glimpse.protocol === '"+page+"' && sameDocument")
			t.Logf("%v: %s is live %.1f s after the restart", signal, page, time.Since(came).Seconds())
			b.wantPlaying(page)
			b.wantNoFaults(page)
		}
		after := newPlaylistState(t, playlist)
		if after.sequence <= before.sequence || after.name == before.name {
			t.Errorf("after %v media sequence %d and %q, before %d and %q", signal, after.sequence, after.name, before.sequence, before.name)
		}
	}
	for _, page := range []string{"webrtc", "hls"} {
		b.do(nil, "click", page, "text=/sound on/i")
		b.wantPlaying(page)
	}
}

// playlistState is what caches and players remember of a playlist.
type playlistState struct {
	sequence int
	name     string // of its first init
}

func newPlaylistState(t *testing.T, url string) playlistState {
	t.Helper()
	_, _, body := get(t, url)
	sequence, name := mediaSequence.FindSubmatch(body), regexp.MustCompile(`EXT-X-MAP:URI="([^"]+)"`).FindSubmatch(body)
	if sequence == nil || name == nil {
		t.Fatalf("%s: %s", url, body)
	}
	n, _ := strconv.Atoi(string(sequence[1]))
	return playlistState{n, string(name[1])}
}

// A stream that WebRTC cannot carry (the server refuses with 409) plays by
// LL-HLS at once, and the page knows why.
//
// C47
func TestPageOfRefusedWebRTC(t *testing.T) {
	parallel(t, browsers)
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
