package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// scriptedGlasses connect with a script; see glimpse glasses --help.
func (c *cloud) scriptedGlasses(t *testing.T, id, script string, more ...string) *wearer {
	t.Helper()
	name := filepath.Join(t.TempDir(), "script.txt")
	if err := os.WriteFile(name, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	return c.startGlasses(t, id, append([]string{"--script", name}, more...)...)
}

// Glasses that do what real ones do at times, before an app of the published SDK:
// old names, no ids, statistics as they come over BLE, a camera that is busy and
// then free, Wi-Fi that goes, an error of their own.
//
// A25 A26 A54
func TestOddGlasses(t *testing.T) {
	parallel(t, others)
	const user, pkg = "wearer@example.com", "com.example.odd"
	port := freePort(t)
	c := startCloud(t, "apps:\n"+appConfig(pkg, port, "CAMERA")+"users:\n  - {id: "+user+"}\n")
	standing := c.newStream() // where direct streams go
	w := c.scriptedGlasses(t, user, `
		names old
		ids off
		stats compact
		camera busy
		wait start
		camera free
		button short
		wait streaming
		wait 1s
		wifi off 1s
		wait reconnecting
		wait reconnected
		wait 3s
		fail Network error: no route to host
		wait error`)
	a := startApp(t, "sdk2", pkg, port)
	c.startSession(a, user)

	a.mark()
	a.do(nil, "direct", standing.Ingest["rtmp"])
	if e := a.status("error"); !strings.Contains(e.Details, "camera_busy") {
		t.Errorf("a busy camera: %+v", e)
	}
	a.wait("button", func(e event) bool { return e.Event == "button" }) // the camera is free
	a.mark()
	a.do(nil, "direct", standing.Ingest["rtmp"])
	a.status("active")
	a.status("reconnecting")
	a.status("active")
	a.wait("statistics", func(e event) bool {
		return e.Event == "status" && e.Stats != nil && e.Stats.FPS > 20 && e.Stats.Bitrate > 0
	})
	if e := a.status("error"); !strings.Contains(e.Details, "Network error: no route to host") {
		t.Errorf("failed with %+v", e)
	}
	var none struct {
		HasActiveStream bool `json:"hasActiveStream"`
	}
	a.do(&none, "check")
	if none.HasActiveStream {
		t.Error("a stream that failed is still there")
	}
	w.say("quit")
	<-w.done
}

// The wearer is gone for 59 s, and then for 61 s: the first time the stream is
// under the same links, the second time it has ended, with one word to the app.
func TestGoneForAMinute(t *testing.T) {
	if os.Getenv("GLIMPSE_LONG") == "" {
		t.Skip("four minutes; GLIMPSE_LONG=1 runs it, and internal/glasses does on fake time")
	}
	parallel(t, nil)
	for _, gone := range []string{"59s", "61s"} {
		for _, how := range []string{"drop", "phone off"} {
			t.Run(how+" "+gone, func(t *testing.T) {
				parallel(t, others)
				goneFor(t, how, gone)
			})
		}
	}
}

func goneFor(t *testing.T, how, gone string) {
	const user, pkg = "wearer@example.com", "com.example.gone"
	port := freePort(t)
	c := startCloud(t, "apps:\n"+appConfig(pkg, port, "CAMERA")+"users:\n  - {id: "+user+"}\n")
	w := c.startGlasses(t, user)
	a := startApp(t, "sdk2", pkg, port)
	c.startSession(a, user)
	var u urls
	a.do(&u, "managed", map[string]any{})
	wantMoving(t, u.HLS)
	a.mark()
	w.say("wait keepalive") // the glasses' own minute begins
	w.say(how + " " + gone)
	within(t, 2*time.Minute, "the glasses are back", func() bool { return w.count("connected to the cloud") > 1 })
	if gone == "59s" {
		movesAgain(t, u.HLS)
		if n := a.count(`"status":"(stopped|error|timeout)"`); n != 0 {
			t.Errorf("the app was told of %d ends", n)
		}
		return
	}
	eventually(t, "the stream has ended", func() bool { code, _, _ := get(t, u.HLS); return code == 404 })
	if n := a.count(`"status":"(stopped|error|timeout)"`); n != 1 {
		t.Errorf("the app was told of %d ends, want 1", n)
	}
}

// movesAgain waits until a reader that comes now sees nothing but the live stream:
// what held it stands in the playlist for a while.
func movesAgain(t *testing.T, url string) {
	t.Helper()
	eventually(t, "pictures and sound again", func() bool {
		pictures, volume := watch(t, url, 5)
		return pictures > 100 && volume > -60
	})
}

// Glasses publish a managed stream in the way that they like best, and it plays
// with pictures and sound whatever that is.
//
// D1 D8
func TestGlassesPublishByAll(t *testing.T) {
	parallel(t, nil)
	const user, pkg = "wearer@example.com", "com.example.ways"
	for _, prefer := range []string{"rtmp", "rtmps", "srt", "whip"} {
		t.Run(prefer, func(t *testing.T) {
			parallel(t, others)
			port := freePort(t)
			c := startCloud(t, withSRT+"rtmps: {addr: \"127.0.0.1:0\"}\napps:\n"+appConfig(pkg, port, "CAMERA")+"users:\n  - {id: "+user+"}\n")
			fingerprint, _ := c.waitLine(`/ca\.pem +\(SHA-256 ([0-9A-F:]+)\)`, 0)
			w := c.startGlasses(t, user, "--prefer", prefer, "--ca", fingerprint[1])
			a := startApp(t, "alpha", pkg, port)
			c.startSession(a, user)
			var u urls
			a.do(&u, "managed", map[string]any{})
			wantMoving(t, u.HLS)
			if c.count(prefer+" publisher connected") == 0 {
				t.Errorf("the server has seen no publisher by %s", prefer)
			}
			// Everything is lost for a while and comes back.
			a.mark()
			w.say("drop 9s")
			a.status("preparing")
			a.status("active")
			movesAgain(t, u.HLS)
			a.mark()
			a.do(nil, "stopManaged")
			a.status("stopped")
			w.waitLine("stopped", 0)
		})
	}
}

// Glasses that like WebRTC best publish by SRT when the stream is sent on to a
// platform, here nginx, and it plays there and by HLS.
//
// D4 D8
func TestRestreamedGlassesPublishBySRT(t *testing.T) {
	parallel(t, waiting)
	const user, pkg = "wearer@example.com", "com.example.onward"
	port := freePort(t)
	platform, _, _ := nginx(t)
	c := startCloud(t, "outbound: {allow_private: true}\n"+withSRT+"apps:\n"+appConfig(pkg, port, "CAMERA")+"users:\n  - {id: "+user+"}\n")
	c.startGlasses(t, user, "--prefer", "whip")
	a := startApp(t, "sdk2", pkg, port)
	c.startSession(a, user)
	var u urls
	a.do(&u, "managed", map[string]any{"restreamDestinations": []map[string]string{{"url": platform + "/live/key", "name": "YouTube"}}})
	wantMoving(t, u.HLS)
	wantMoving(t, platform+"/live/key")
	if srt, whip := c.count("srt publisher connected"), c.count("whip publisher connected"); srt == 0 || whip != 0 {
		t.Errorf("%d publishers by SRT, %d by WHIP", srt, whip)
	}
}
