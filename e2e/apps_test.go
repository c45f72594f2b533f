package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// The seeds' happy path in each style of the published SDK: session, text, voice,
// button, managed stream with working links, a second app that joins, direct
// stream to the app's own server, conflicts, permission, stop.
//
// A1 A18 A32 A33 B7 B8 B10 B31 C15 C26 C40 C50 C52 C62 E26 E33 E34
// A13 A14 A15 A16 A17 A19 A20 A22 A23 A25 A26 A28 A29 A30 A34 A35 A36 A37 A38 A39 A40 A43 A48 A52
// B5 B11 B12 B13 B17 B18 B20 B24 B25 B28 B29 B32 B33 B34 B35 B36 B37 B38 B39 B40 B41 B42 B44
// C2 C6 C9 C18 C19 C22 C30 C36 C37 C38 C46 C49 C51 C57 C63 C64 D5 D6 D7 D10 D12 D14 D16 D17 D20 D21
func TestApps(t *testing.T) {
	parallel(t, nil)
	for i, style := range styles {
		t.Run(style, func(t *testing.T) {
			parallel(t, others)
			pkg, other, denied := "com.example."+style, "com.example.other", "com.example.denied"
			port, port2, port3 := freePort(t), freePort(t), freePort(t)
			c := startCloud(t, "apps:\n"+appConfig(pkg, port, "CAMERA, MICROPHONE")+
				appConfig(other, port2, "CAMERA, MICROPHONE")+appConfig(denied, port3, "MICROPHONE")+
				"users:\n  - {id: wearer@example.com}\n")
			const user = "wearer@example.com"
			w := c.startGlasses(t, user)
			a := startApp(t, style, pkg, port)
			c.startSession(a, user)
			talk(t, a, w)
			managed(t, c, a, w, style)
			b := startApp(t, styles[(i+1)%len(styles)], other, port2)
			c.startSession(b, user)
			shared(t, a, b, w)
			direct(t, a, b, w)
			d := startApp(t, style, denied, port3)
			c.startSession(d, user)
			refusedCamera(t, d)
			if code := c.api("POST", "/api/v1/users/"+user+"/apps/"+pkg+"/stop", nil, nil); code >= 300 {
				t.Errorf("stop: %d", code)
			}
			a.wait("stop", func(e event) bool { return e.Event == "stop" })
		})
	}
}

// talk shows text and relays speech and buttons.
func talk(t *testing.T, a *app, w *wearer) {
	t.Helper()
	a.do(nil, "text", "hello from "+a.pkg)
	w.waitLine("hello from "+a.pkg, 0)
	w.say("say what is this")
	a.wait("transcription", func(e event) bool { return e.Event == "transcription" && strings.EqualFold(e.Text, "what is this") })
	w.say("button short")
	a.wait("button", func(e event) bool { return e.Event == "button" && e.PressType == "short" })
}

// managed starts a managed stream, plays its links and stops it.
func managed(t *testing.T, c *cloud, a *app, w *wearer, style string) {
	t.Helper()
	var none struct {
		HasActiveStream bool `json:"hasActiveStream"`
	}
	a.do(&none, "check")
	if none.HasActiveStream {
		t.Error("a stream before any was started")
	}
	a.mark()
	var u urls
	id := a.send("managed", map[string]any{"quality": "720p", "enableWebRTC": true})
	a.status("initializing")
	active := a.status("active")
	e := a.result(id)
	if e.Error != "" {
		t.Fatalf("managed start: %s", e.Error)
	}
	decode(t, e.Result, &u)
	if u.HLS == "" || u.DASH == "" || u.WebRTC == "" || u.Preview == "" || u.Thumbnail == "" || u.StreamID == "" || len(u.StreamID) > 11 {
		t.Fatalf("managed start resolved %+v", u)
	}
	if active.HLS != u.HLS {
		t.Errorf("status says %s, promise %s", active.HLS, u.HLS)
	}
	fetchOK(t, u.HLS) // at once: active means that links work
	fetchOK(t, u.DASH)
	fetchOK(t, u.Preview)
	wantMoving(t, u.HLS)
	var found struct {
		HasActiveStream bool `json:"hasActiveStream"`
		StreamInfo      struct {
			Type, StreamID, Status, HLSURL string
		} `json:"streamInfo"`
	}
	a.do(&found, "check")
	if !found.HasActiveStream || found.StreamInfo.Type != "managed" || found.StreamInfo.StreamID != u.StreamID || found.StreamInfo.HLSURL != u.HLS {
		t.Errorf("checkExistingStream: %+v", found)
	}
	a.mark()
	if style == "mini" {
		a.do(nil, "stopManaged")
	} else if e := a.result(a.send("flip", map[string]any{})); !strings.Contains(e.Error, "Already streaming") {
		t.Errorf("stop and start at once: %+v", e) // this SDK starts again only after "stopped"
	}
	a.status("stopped")
	w.waitLine(`(?i)stop`, 0)
	eventually(t, "the links are gone", func() bool { code, _, _ := get(t, u.HLS); return code == 404 })
	if a.streaming() {
		t.Error("the SDK is stuck in streaming")
	}
}

// An app that stops and starts at once keeps its stream: the cloud waits 40 ms for the
// start, so nothing else runs beside.
func TestStopAndStart(t *testing.T) {
	alone(t)
	const pkg, user = "com.example.mini", "wearer@example.com"
	port := freePort(t)
	c := startCloud(t, "apps:\n"+appConfig(pkg, port, "CAMERA")+"users:\n  - {id: "+user+"}\n")
	c.startGlasses(t, user)
	a := startApp(t, "mini", pkg, port)
	c.startSession(a, user)
	var first, again urls
	a.do(&first, "managed", map[string]any{})
	a.do(&again, "flip", map[string]any{})
	if again.HLS == "" || again.HLS != first.HLS {
		t.Errorf("stop and start at once: %q, before %q", again.HLS, first.HLS)
	}
}

// shared is one stream for two apps: the second joins, and the last to leave
// ends it. A direct start meanwhile is refused in the documents' words.
func shared(t *testing.T, a, b *app, w *wearer) {
	t.Helper()
	var first, second urls
	a.do(&first, "managed", map[string]any{})
	b.do(&second, "managed", map[string]any{"quality": "720p"})
	if first.StreamID != second.StreamID || first.HLS != second.HLS {
		t.Errorf("the second app got another stream: %+v, %+v", first, second)
	}
	a.mark()
	a.do(nil, "stopManaged")
	a.status("stopped")
	fetchOK(t, second.HLS) // B still watches
	a.mark()
	a.send("direct", "rtmp://127.0.0.1:1/live/x")
	e := a.status("error")
	if !strings.Contains(e.Details+e.Message, "managed stream active") || strings.Contains(e.Details+e.Message, "Already streaming") {
		t.Errorf("direct beside managed: %q %q", e.Details, e.Message)
	}
	b.mark()
	b.do(nil, "stopManaged")
	b.status("stopped")
	eventually(t, "the links are gone", func() bool { code, _, _ := get(t, second.HLS); return code == 404 })
}

// direct streams to the app's own server, here ffmpeg that listens; everything
// else is refused meanwhile.
func direct(t *testing.T, a, b *app, w *wearer) {
	t.Helper()
	port := freePort(t)
	url := fmt.Sprintf("rtmp://127.0.0.1:%d/live/wirekey", port)
	sink := start(t, "ffmpeg listener", nil, "ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning", "-listen", "1",
		"-i", url, "-c", "copy", "-f", "null", "-progress", "pipe:1", "-")
	eventually(t, "ffmpeg listens", func() bool { return listening(port) })
	a.mark()
	a.do(nil, "direct", url, map[string]any{"video": map[string]any{"width": 1280, "height": 720, "bitrate": 2500000, "frameRate": 30},
		"stream": map[string]any{"durationLimit": 1800}})
	a.status("initializing")
	a.status("active")
	sink.waitLine(`^frame=[1-9]`, 0)
	e := a.wait("stats", func(e event) bool {
		return e.Event == "status" && e.Stats != nil && e.Stats.FPS > 20 && e.Stats.Bitrate > 100000
	})
	if e.Stats.Duration <= 0 {
		t.Errorf("stats: %+v", *e.Stats)
	}
	var at string
	a.do(&at, "url")
	if at != url {
		t.Errorf("current stream URL %q", at)
	}
	var found struct {
		StreamInfo struct{ Type, RTMPURL, StreamURL, RequestingAppID string } `json:"streamInfo"`
	}
	b.do(&found, "check")
	if found.StreamInfo.Type != "unmanaged" || found.StreamInfo.RTMPURL != url || found.StreamInfo.StreamURL != url || found.StreamInfo.RequestingAppID != a.pkg {
		t.Errorf("another app's check: %+v", found)
	}
	b.mark()
	b.send("direct", "rtmp://127.0.0.1:1/live/x")
	if e := b.status("error"); !strings.Contains(e.Details, "Already streaming") {
		t.Errorf("second direct stream: %q", e.Details)
	}
	if e := b.result(b.send("managed", map[string]any{})); !strings.Contains(e.Error, "Already streaming") {
		t.Errorf("managed beside direct: %q", e.Error)
	}
	a.mark()
	a.do(nil, "stopDirect")
	a.status("stopped")
	select {
	case <-sink.done:
	case <-patienceOver():
		t.Error("the glasses still publish after stop")
	}
	b.mark()
	b.do(nil, "direct", "rtmp://127.0.0.1:1/live/nobody-listens")
	if e := b.status("error"); !strings.Contains(e.Details, "Network") && !strings.Contains(e.Details, "Failed to reconnect") {
		t.Errorf("a server that is not there: %q", e.Details)
	}
	b.mark()
	words := b.result(b.send("direct", "ftp://nowhere/x")).Error // newer SDKs look at the scheme themselves
	if words == "" {
		words = b.status("error").Details
	}
	if !strings.Contains(words, "Invalid URL") && !strings.Contains(words, "Invalid stream URL") {
		t.Errorf("a URL of no kind: %q", words)
	}
}

// refusedCamera is an app without the CAMERA permission: both calls settle with
// a sentence, and the app can go on.
func refusedCamera(t *testing.T, d *app) {
	t.Helper()
	const words = "Camera permission required"
	e := d.result(d.send("managed", map[string]any{}))
	if !strings.Contains(e.Error, words) {
		t.Errorf("managed without permission: %q", e.Error)
	}
	d.mark()
	url := "rtmp://127.0.0.1:1/live/x"
	d.send("direct", url)
	if e := d.status("error"); !strings.Contains(e.Details, words) {
		t.Errorf("direct without permission: %q", e.Details)
	}
	var streaming bool
	d.do(&streaming, "isStreaming")
	if streaming {
		t.Error("the SDK is stuck in streaming")
	}
}
