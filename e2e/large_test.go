package e2e

import "testing"

// large are films whose key frames have so many bytes: noise, once in two seconds.
func large(name, noise, qp string) func() (string, error) {
	return encodedOnce(name, "-t", "8", "-vf", "scale=1920:1080,noise=alls="+noise+":allf=t:enable='lt(mod(n,60),1)'", "-b:v", "0", "-qp", qp)
}

// Key frames of 2 MB are decoded by Chromium by WebRTC, since they come no faster than it
// takes them; larger ones than its 2,048 packets it shows by LL-HLS.
//
// F7
func TestLargeKeyFrames(t *testing.T) {
	if !long {
		t.Skip("large films take long to encode: make test-long; TestLargePicturesAreSpread is in every run")
	}
	alone(t)
	c := startCloud(t, "")
	b := startBrowser(t)
	for _, film := range []struct{ name, noise, qp, protocol string }{
		{"two.mkv", "80", "26", "webrtc"}, {"three.mkv", "100", "19", "hls"},
	} {
		s := c.newStream()
		publisher := publishFile(t, large(film.name, film.noise, film.qp), "flv", s.Ingest["rtmp"])
		c.wantStatus(s.ID, "live")
		b.do(nil, "open", film.name, s.Play["page"], map[string]any{"answer": []string{"nothing", ""}})
		b.waitPlayer(film.name, "glimpse.state === 'live' && glimpse.protocol === '"+film.protocol+"'")
		b.wantPlaying(film.name)
		if film.protocol == "webrtc" {
			var r received
			b.do(&r, "received", film.name, 10)
			if t.Logf("%+v", r); r.Decoded < 200 || r.Bytes < 8_000_000 || r.Plis > 2 {
				t.Errorf("%+v", r)
			}
			b.waitPlayer(film.name, "glimpse.protocol === 'webrtc'") // still
		}
		b.do(nil, "close", film.name)
		publisher.stop()
	}
}
