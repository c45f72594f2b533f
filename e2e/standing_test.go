package e2e

import (
	"bytes"
	"net/http"
	"os/exec"
	"strings"
	"testing"
)

// A standing stream is fed by ffmpeg and every URL of the answer plays: pictures
// and sound by RTMP and LL-HLS here, by WebRTC in the page tests.
//
// A5 A6 B6 B19 B23 C34 E4 E40
func TestStandingStream(t *testing.T) {
	parallel(t, waiting)
	c := startCloud(t, "")
	s := c.newStream()
	for _, key := range []string{"page", "whep", "hls", "dash", "thumbnail", "rtmp"} {
		if s.Play[key] == "" {
			t.Errorf("no playback URL for %s", key)
		}
	}
	if s.Status != "idle" || s.Ingest["rtmp"] == "" {
		t.Fatalf("a new stream: %+v", s)
	}
	if code, h, _ := get(t, s.Play["hls"]); code == http.StatusOK || h.Get("Cache-Control") != "no-store" {
		t.Errorf("playlist of an idle stream: %d, Cache-Control %q", code, h.Get("Cache-Control"))
	}
	publish(t, s.Ingest["rtmp"])
	eventually(t, "the stream is live", func() bool {
		var now stream
		c.api("GET", "/api/v1/streams/"+s.ID, nil, &now)
		return now.Status == "live"
	})
	wantMoving(t, s.Play["hls"])
	wantMoving(t, s.Play["rtmp"])
	wantMoving(t, s.Play["dash"])
	if pic := fetchOK(t, s.Play["thumbnail"]); !bytes.HasPrefix(pic, []byte{0xff, 0xd8}) {
		t.Errorf("the thumbnail is no JPEG: % x", pic[:min(8, len(pic))])
	}
	if code := c.api("DELETE", "/api/v1/streams/"+s.ID, nil, nil); code >= 300 {
		t.Errorf("DELETE: %d", code)
	}
	if code, _, _ := get(t, s.Play["hls"]); code != http.StatusNotFound {
		t.Errorf("playlist of a deleted stream: %d", code)
	}
}

// The demo's URL publishes and plays, as configured; an unknown key is refused,
// and no key ever shows in the logs.
//
// A21 E11 E12 E14 E30
func TestConfiguredStream(t *testing.T) {
	parallel(t, waiting)
	c := startCloud(t, "streams:\n  - {name: stream, ingest_key: stream, playback_id: stream}\n")
	publish(t, c.rtmp+"/live/stream")
	eventually(t, "the playlist answers", func() bool {
		code, _, _ := get(t, c.url+"/live/stream/index.m3u8")
		return code == http.StatusOK
	})
	wantMoving(t, c.rtmp+"/live/stream")

	out, err := exec.Command("ffmpeg", "-hide_banner", "-loglevel", "warning", "-f", "lavfi", "-i", "testsrc2=rate=5:duration=5",
		"-c:v", "libx264", "-f", "flv", c.rtmp+"/live/wrong-key-0123456789").CombinedOutput()
	if err == nil {
		t.Errorf("publishing with a wrong key succeeded: %s", out)
	}
	if strings.Contains(c.tail(10000), "wrong-key-0123456789") {
		t.Error("a stream key stands in the logs")
	}
}

// A publisher that goes away and comes back finds its readers still there.
func TestPublisherComesBack(t *testing.T) {
	parallel(t, waiting)
	c := startCloud(t, "")
	s := c.newStream()
	first := publish(t, s.Ingest["rtmp"])
	eventually(t, "live", func() bool { code, _, _ := get(t, s.Play["hls"]); return code == http.StatusOK })
	reader := start(t, "ffmpeg reader", nil, "ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning", "-i", s.Play["rtmp"], "-c", "copy", "-f", "null", "-progress", "pipe:1", "-")
	reader.waitLine(`^frame=[1-9]`, 0)
	first.stop()
	eventually(t, "interrupted", func() bool {
		var now stream
		c.api("GET", "/api/v1/streams/"+s.ID, nil, &now)
		return now.Status == "interrupted"
	})
	publish(t, s.Ingest["rtmp"])
	eventually(t, "live again", func() bool {
		var now stream
		c.api("GET", "/api/v1/streams/"+s.ID, nil, &now)
		return now.Status == "live"
	})
	before := reader.lastFrame()
	eventually(t, "the reader gets pictures again", func() bool { return reader.lastFrame() > before+30 })
	select {
	case <-reader.done:
		t.Error("the reader was closed")
	default:
	}
}
