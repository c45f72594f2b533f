package e2e

import (
	"math"
	"net/http"
	"strings"
	"testing"
)

// byWHEP is lag for WebRTC, as Chromium plays it. What a busy machine adds differs
// from time to time: the best of three counts.
func byWHEP(b *browser, s stream) float64 {
	b.t.Helper()
	b.do(nil, "open", "whep", s.Play["page"])
	b.waitPlayer("whep", "glimpse.state === 'live' && glimpse.protocol === 'webrtc'")
	b.do(nil, "click", "whep", "text=/sound on/i")
	b.waitPlayer("whep", "glimpse.protocol === 'webrtc' && !document.querySelector('video').muted")
	best := math.Inf(1)
	for range 3 {
		if ms := b.meeting("whep"); math.Abs(ms) < math.Abs(best) {
			best = ms
		}
		if math.Abs(best) <= 40 {
			break
		}
	}
	return best
}

// Whatever way a stream comes in, by ffmpeg or by Chromium, every way out has
// picture and sound, and they meet within 40 ms. Each way in and each way out once;
// with GLIMPSE_LONG all of them together.
//
// D1 D15
func TestEveryWayInAndOut(t *testing.T) {
	t.Parallel()
	c := startCloud(t, withSRT+"rtmps: {addr: \"127.0.0.1:0\"}\n")
	for in, some := range map[string][]string{"rtmp": {"srt"}, "rtmps": {"whep"}, "srt": {"dash"}, "whip": {"rtmp", "hls"}} {
		t.Run(in, func(t *testing.T) {
			t.Parallel()
			s := c.newStream()
			b := startBrowser(t)
			publishBy(t, b, c, in, s)
			c.wantStatus(s.ID, "live")
			eventually(t, "playlists are there", func() bool {
				code, _, _ := get(t, s.Play["dash"])
				return code == http.StatusOK
			})
			outs := some
			if long {
				outs = []string{"whep", "hls", "dash", "rtmp", "srt"}
			}
			for _, out := range outs {
				t.Run(out, func(t *testing.T) {
					var ms float64
					if out == "whep" {
						ms = byWHEP(b, s)
					} else {
						ms = lag(t, s.Play[out])
					}
					if math.Abs(ms) > 40 {
						t.Errorf("by %s and %s pictures are %.0f ms behind the sound", in, out, ms)
					} else {
						t.Logf("by %s and %s pictures are %.0f ms behind the sound", in, out, ms)
					}
				})
			}
		})
	}
}

// publishBy feeds flashes and beeps into a stream by a protocol.
func publishBy(t *testing.T, b *browser, c *cloud, in string, s stream) {
	t.Helper()
	switch url := s.Ingest[in]; in {
	case "whip":
		b.do(nil, "open", "publisher", c.url+"/")
		b.do(nil, "whip", "publisher", url)
	case "srt":
		publishFlashesTo(t, "mpegts", url)
	case "rtmps":
		publishFlashesTo(t, "flv", strings.Replace(url, "localhost", "127.0.0.1", 1), "-tls_verify", "0")
	default:
		publishFlashesTo(t, "flv", url)
	}
}
