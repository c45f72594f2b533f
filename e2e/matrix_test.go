package e2e

import (
	"math"
	"net/http"
	"testing"
)

// Whatever way a stream comes in, every way out has picture and sound, and they
// meet within 40 ms. Each way in and each way out once; with GLIMPSE_LONG all of
// them together.
//
// D1 D15
func TestEveryWayInAndOut(t *testing.T) {
	parallel(t, nil)
	c := startCloud(t, withSRT+"rtmps: {addr: \"127.0.0.1:0\"}\n")
	for in, some := range map[string][]string{"rtmp": {"srt"}, "rtmps": {"whep"}, "srt": {"dash"}, "whip": {"rtmp", "hls"}} {
		t.Run(in, func(t *testing.T) {
			parallel(t, others)
			s := c.newStream()
			publishBy(t, in, s.Ingest[in])
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
						ms = lagOf(t, "-protocol_whitelist", "file,udp,rtp", "-i", relayWHEP(t, s.Play["whep"]))
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
func publishBy(t *testing.T, protocol, url string) {
	t.Helper()
	switch protocol {
	case "whip":
		encodeOpus(t, beeping).publishWHIP(t, url)
	case "srt":
		publishFlashesTo(t, "mpegts", url)
	case "rtmps":
		publishFlashesTo(t, "flv", url, "-tls_verify", "0")
	default:
		publishFlashesTo(t, "flv", url)
	}
}
