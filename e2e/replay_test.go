package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Chromium plays a recording by its page, a clip by its page, and what a live
// stream showed some seconds ago; the clip is there within a second.
func TestReplay(t *testing.T) {
	parallel(t, browsers)
	c := startCloud(t, "streams:\n  - {name: cam, ingest_key: cam, playback_id: cam, record: always}\n")
	s := c.newStream() // is not recorded
	publish(t, s.Ingest["rtmp"])
	source := publish(t, c.rtmp+"/live/cam")
	c.wantStatus(s.ID, "live")
	b := startBrowser(t)
	time.Sleep(14 * time.Second) // of past

	var clip recording
	began := time.Now()
	if code := c.api("POST", "/api/v1/streams/"+s.ID+"/clips", map[string]any{"last": 7.5}, &clip); code != http.StatusCreated {
		t.Fatalf("clip: %d", code)
	}
	if took := time.Since(began); took > time.Second || clip.Kind != "clip" || clip.Duration < 7.499 || clip.Duration > 7.501 {
		t.Errorf("a clip of 7.5 s took %v: %+v", took, clip)
	}
	path := filepath.Join(t.TempDir(), "clip.mp4")
	_, _, file := get(t, clip.File)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if seconds, _ := probe(t, path); seconds < 7.4 || seconds > 7.6 {
		t.Errorf("ffprobe finds %v s in a clip of 7.5", seconds)
	}
	if said := decodeWhole(t, path); said != "" {
		t.Errorf("ffmpeg says %s", said)
	}
	b.do(nil, "open", "clip", clip.Page)
	b.wantReplay("clip", 7)
	b.wantNoFaults("clip")
	b.do(nil, "close", "clip")

	b.do(nil, "open", "past", s.Play["page"]+"?t=-8")
	b.waitPlayer("past", "glimpse.past && glimpse.protocol === 'hls' && glimpse.latencyMs > 6000 && glimpse.latencyMs < 12000")
	b.do(nil, "click", "past", "text=/sound on/i")
	b.wantPlaying("past")
	b.do(nil, "press", "past", "ArrowLeft")
	b.waitPlayer("past", "glimpse.latencyMs > 11000")
	b.do(nil, "press", "past", "l")
	b.waitPlayer("past", "!glimpse.past && glimpse.state === 'live' && glimpse.latencyMs < 4000")
	b.do(nil, "click", "past", "text=/10 s/")
	b.waitPlayer("past", "glimpse.past && glimpse.protocol === 'hls' && glimpse.latencyMs > 7000")
	b.wantNoFaults("past")
	b.do(nil, "close", "past")
	_, _, list := get(t, s.Play["hls"]+"?t=-8")
	if !strings.Contains(string(list), "#EXT-X-START:TIME-OFFSET=-8.00000,PRECISE=YES") {
		t.Errorf("%s", list)
	}

	var rec recording
	for _, r := range c.recordings() {
		if r.Kind == "recording" {
			rec = r
		}
	}
	b.do(nil, "open", "growing", rec.Page)
	b.wantReplay("growing", 8)
	b.do(nil, "close", "growing")
	source.stop()
	if code := c.api("DELETE", "/api/v1/streams/"+rec.Stream+"/recording", nil, &rec); code != http.StatusOK {
		t.Fatalf("stop: %d", code)
	}
	b.do(nil, "open", "recording", rec.Page)
	b.wantReplay("recording", 14)
	b.wantNoFaults("recording")
	if n, _ := watch(t, rec.HLS, 8); n < 200 {
		t.Errorf("ffmpeg decodes %d pictures of 8 s by HLS", n)
	}
	var older recording // of the recording, beyond what is in memory it would be the same call
	if code := c.api("POST", "/api/v1/recordings/"+rec.ID+"/clips", map[string]any{"from": 2.25, "to": 5}, &older); code != http.StatusCreated || older.Duration != 2.75 {
		t.Errorf("clip of a recording: %d %+v", code, older)
	}
}

// wantReplay plays a page of something recorded, of at least so many seconds,
// from its beginning and from its middle.
func (b *browser) wantReplay(page string, seconds float64) {
	b.t.Helper()
	b.play(page, seconds)
	b.wantPlaying(page)
	b.do(nil, "eval", page, "(() => { const v = document.querySelector('video'); v.currentTime = v.duration / 2; v.play(); window.seeked = v.getVideoPlaybackQuality().totalVideoFrames; })()")
	var pictures int
	eventually(b.t, page+" plays after a seek", func() bool {
		b.do(&pictures, "eval", page, "document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames - window.seeked")
		return pictures >= 20
	})
}

// play starts a page of something recorded when it knows that this has at least so
// many seconds: before that, its player may not have its source, and the source
// ends what was asked of it without one.
func (b *browser) play(page string, seconds float64) {
	b.t.Helper()
	eventually(b.t, page+" knows how long it is", func() bool {
		var length float64
		return b.try(&length, "eval", page, "document.querySelector('video')?.duration ?? 0") == "" && length >= seconds
	})
	b.do(nil, "eval", page, "document.querySelector('video').play()")
}
