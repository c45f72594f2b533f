package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// rawApp is an app without an SDK: it connects when it is asked to, and notes
// what it is told and how its socket ends.
type rawApp struct {
	port   int
	closed chan ending
	told   chan string // types of the messages
}

// ending is how and when a socket ended.
type ending struct {
	code websocket.StatusCode
	at   time.Time
}

func startRawApp(t *testing.T, pkg string, c func() *cloud) *rawApp {
	t.Helper()
	a := &rawApp{closed: make(chan ending, 10), told: make(chan string, 1000)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request struct{ Type, SessionID string }
		if json.NewDecoder(r.Body).Decode(&request) == nil && request.Type == "session_request" {
			go a.connect(t.Context(), c().url, pkg, request.SessionID)
		}
		fmt.Fprint(w, `{"status":"success"}`)
	}))
	t.Cleanup(server.Close)
	a.port, _ = strconv.Atoi(server.URL[strings.LastIndex(server.URL, ":")+1:])
	return a
}

func (a *rawApp) connect(ctx context.Context, base, pkg, session string) {
	ws, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(base, "http")+"/app-ws", nil)
	if err != nil {
		return
	}
	defer func() { _ = ws.CloseNow() }()
	init := fmt.Sprintf(`{"type":"tpa_connection_init","packageName":%q,"apiKey":%q,"sessionId":%q}`, pkg, apiKey, session)
	if ws.Write(ctx, websocket.MessageText, []byte(init)) != nil {
		return
	}
	for {
		_, frame, err := ws.Read(ctx)
		if err != nil {
			a.closed <- ending{websocket.CloseStatus(err), time.Now()}
			return
		}
		var m struct{ Type string }
		_ = json.Unmarshal(frame, &m)
		a.told <- m.Type
	}
}

// children are the processes that pid started and that live.
func children(t *testing.T, pid int) []int {
	t.Helper()
	var list []int
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, _ := os.ReadFile(f) // a thread may be gone
		for field := range strings.FieldsSeq(string(b)) {
			if child, err := strconv.Atoi(field); err == nil {
				list = append(list, child)
			}
		}
	}
	return list
}

// pollReady asks /readyz with a connection of its own each time, until nobody
// answers, and returns the answers in order, each once.
func pollReady(url string) <-chan []int {
	answers := make(chan []int, 1)
	go func() {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
		var seen []int
		for {
			res, err := client.Get(url + "/readyz")
			if err != nil {
				answers <- seen
				return
			}
			_ = res.Body.Close()
			if !slices.Contains(seen, res.StatusCode) {
				seen = append(seen, res.StatusCode)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	return answers
}

// SIGTERM while glasses publish, apps hold the stream and viewers watch by HLS
// and WebRTC: the server says that it is not ready, ends soon and well, leaves no
// child behind, closes its sockets with 1012 and tells nobody that anything has
// stopped. The next process goes on.
func TestTermUnderLoad(t *testing.T) {
	parallel(t, browsers)
	const user, pkg, raw = "wearer@example.com", "com.example.term", "com.example.raw"
	port := freePort(t)
	var c *cloud
	r := startRawApp(t, raw, func() *cloud { return c })
	c = startCloud(t, "apps:\n"+appConfig(pkg, port, "CAMERA")+appConfig(raw, r.port, "CAMERA")+"users:\n  - {id: "+user+"}\n")
	c.keepPorts(t)
	c.startGlasses(t, user)
	a := startApp(t, "sdk2", pkg, port)
	c.startSession(a, user)
	if code := c.api("POST", "/api/v1/users/"+user+"/apps/"+raw+"/start", nil, nil); code >= 300 {
		t.Fatalf("start %s: %d", raw, code)
	}
	var before, after urls
	a.do(&before, "managed", map[string]any{})
	hls := start(t, "hls reader", nil, "ffmpeg", "-nostdin", "-nostats", "-progress", "pipe:1", "-i", before.HLS, "-f", "null", "-")
	b := startBrowser(t)
	pages := map[string]string{"webrtc": "", "hls": "?protocol=hls"}
	for page, query := range pages {
		b.do(nil, "open", page, before.Preview+query)
		b.waitPlayer(page, "glimpse.state === 'live' && glimpse.protocol === '"+page+"'")
	}
	eventually(t, "the HLS reader plays", func() bool { return hls.lastFrame() > 0 })
	eventually(t, "sound for WebRTC is made", func() bool { return c.children() > 0 })
	ffmpegs := children(t, c.cmd.Process.Pid)
	if len(ffmpegs) == 0 {
		t.Fatal("no children")
	}

	a.mark()
	answers, began := pollReady(c.url), time.Now()
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-c.done
	took := time.Since(began)
	if c.err != nil || took > 10*time.Second {
		t.Errorf("ended with %v after %v, want 0 within 10 s", c.err, took)
	}
	seen := <-answers
	if len(seen) == 0 || seen[len(seen)-1] != http.StatusServiceUnavailable {
		t.Errorf("while draining /readyz answered %v, want 503 at last", seen)
	}
	for _, pid := range ffmpegs {
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("child %d outlives the server", pid)
		}
	}
	if end := <-r.closed; end.code != websocket.StatusServiceRestart {
		t.Errorf("the app's socket was closed with %d, want 1012", end.code)
	}

	c.again(t)
	t.Logf("drained in %v, back after %v", took, time.Since(began))
	a.status("active") // told again after its reconnect
	if n := a.count(`"event":"stop"`) + a.count(`"status":"(stopped|error|timeout)"`); n != 0 {
		t.Errorf("the app was told of %d ends", n)
	}
	for len(r.told) > 0 {
		if m := <-r.told; m == "app_stopped" {
			t.Error("the other app was told that it is stopped")
		}
	}
	var found struct{ StreamInfo struct{ StreamID string } }
	a.do(&found, "check")
	if found.StreamInfo.StreamID != before.StreamID {
		t.Errorf("goes on with %+v, want stream %s", found, before.StreamID)
	}
	for page := range pages {
		b.waitPlayer(page, "glimpse.state === 'live'")
	}
	a.do(nil, "stopManaged")
	a.status("stopped")
	a.do(&after, "managed", map[string]any{})
	if after.StreamID == before.StreamID {
		t.Error("a stream that was stopped is started again under its old id")
	}
	fetchOK(t, after.HLS)
}

// Peers that neither read nor answer any more, and requests that are half sent,
// do not hold up the end, and those that work lose their sockets only just before
// it: apps on old SDKs give up 3 s after that.
func TestTermWithSilentPeers(t *testing.T) {
	parallel(t, others)
	const user, pkg, raw = "wearer@example.com", "com.example.silent", "com.example.works"
	port := freePort(t)
	var c *cloud
	r := startRawApp(t, raw, func() *cloud { return c })
	c = startCloud(t, "apps:\n"+appConfig(pkg, port, "CAMERA")+appConfig(raw, r.port, "CAMERA")+"users:\n  - {id: "+user+"}\n")
	w := c.startGlasses(t, user)
	a := startApp(t, "mini", pkg, port)
	c.startSession(a, user)
	if code := c.api("POST", "/api/v1/users/"+user+"/apps/"+raw+"/start", nil, nil); code >= 300 {
		t.Fatalf("start %s: %d", raw, code)
	}
	a.do(nil, "managed", map[string]any{})
	for _, p := range []*process{w.process, a.process} {
		if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.cmd.Process.Signal(syscall.SIGCONT) })
	}
	for _, half := range []string{"", "GET /read", "POST /api/v1/streams HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " + c.token +
		"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte(half)); err != nil {
			t.Fatal(err)
		}
	}
	fetchOK(t, c.url+"/healthz")
	began := time.Now()
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-c.done
	took := time.Since(began)
	if c.err != nil || took > 10*time.Second {
		t.Errorf("ended with %v after %v, want 0 within 10 s", c.err, took)
	}
	end := <-r.closed
	if gap := took - end.at.Sub(began); end.code != websocket.StatusServiceRestart || gap > 2*time.Second {
		t.Errorf("the working app's socket was closed with %d, %v before the end", end.code, gap)
	}
}

// secrets are what must appear nowhere but where it is asked for.
type secrets map[string]string // name -> value

// wantNone fails when a text holds a secret.
func (s secrets) wantNone(t *testing.T, where, text string) {
	t.Helper()
	for name, value := range s {
		if strings.Contains(text, value) {
			for line := range strings.Lines(text) {
				if strings.Contains(line, value) {
					t.Errorf("%s shows the %s: %.300s", where, name, line)
					break
				}
			}
		}
	}
}

// lastElement is what stands behind the last slash of a URL.
func lastElement(url string) string { return url[strings.LastIndex(url, "/")+1:] }

// playbackID is the element after /live/ of a playback URL.
func playbackID(url string) string {
	_, rest, _ := strings.Cut(url, "/live/")
	id, _, _ := strings.Cut(rest, "/")
	return id
}

// rawPhone is a wearer's phone without glasses: it returns the address to
// publish to when it is told to stream.
func (c *cloud) rawPhone(t *testing.T, token string) <-chan string {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(c.url, "http")+"/glasses-ws?token="+token, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	for _, m := range []string{
		`{"type":"connection_init"}`,
		`{"type":"glasses_connection_state","modelName":"Mentra Live","status":"CONNECTED","supportedStreamTypes":["rtmp"]}`,
	} {
		if err := ws.Write(t.Context(), websocket.MessageText, []byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	publishTo := make(chan string, 10)
	go func() {
		for {
			_, frame, err := ws.Read(t.Context())
			if err != nil {
				return
			}
			var m struct{ Type, RTMPURL, StreamURL string }
			if json.Unmarshal(frame, &m) == nil && m.StreamURL+m.RTMPURL != "" {
				publishTo <- m.StreamURL
			}
		}
	}()
	return publishTo
}

// No secret is written to the log at its most talkative, to /metrics or into an
// answer that refuses something.
func TestSecretsStaySecret(t *testing.T) {
	parallel(t, browsers)
	const user, pkg = "wearer@example.com", "com.example.secrets"
	port := freePort(t)
	c := startCloud(t, "log_level: debug\napps:\n"+appConfig(pkg, port, "CAMERA")+"users:\n  - {id: "+user+"}\n")
	link, _ := c.waitLine(`(#token=(\S+))`, 0)
	token := c.userToken(t, user)
	publishTo := c.rawPhone(t, token)
	a := startApp(t, "sdk2", pkg, port)
	c.startSession(a, user)

	started := a.send("managed", map[string]any{})
	ingest := <-publishTo
	glasses := publish(t, ingest)
	var managed urls
	if e := a.result(started); e.Error == "" {
		decode(t, e.Result, &managed)
	} else {
		t.Fatal(e.Error)
	}
	standing := c.newStream()
	encoder := publish(t, standing.Ingest["rtmp"])
	eventually(t, "the standing stream plays", func() bool { code, _, _ := get(t, standing.Play["hls"]); return code == 200 })
	hidden := secrets{
		"API key": apiKey, "admin token": c.token, "core token": token, "signature of the core token": token[strings.LastIndex(token, ".")+1:],
		"managed ingest key": lastElement(ingest), "managed playback id": playbackID(managed.HLS),
		"ingest key": lastElement(standing.Ingest["rtmp"]), "playback id": playbackID(standing.Play["hls"]),
	}
	for name, value := range hidden {
		if len(value) < 16 {
			t.Fatalf("%s is only %q", name, value)
		}
	}

	b := startBrowser(t) // HLS, WebRTC, the page and its status
	b.do(nil, "open", "webrtc", managed.Preview)
	b.waitPlayer("webrtc", "glimpse.state === 'live' && glimpse.protocol === 'webrtc'")
	b.do(nil, "open", "hls", standing.Play["page"]+"?protocol=hls")
	b.waitPlayer("hls", "glimpse.state === 'live' && glimpse.protocol === 'hls'")
	eventually(t, "there is a thumbnail", func() bool { code, _, _ := get(t, standing.Play["thumbnail"]); return code == http.StatusOK })
	fetchOK(t, standing.Play["dash"])
	play := start(t, "rtmp player", nil, "ffmpeg", "-nostdin", "-nostats", "-progress", "pipe:1", "-i", standing.Play["rtmp"], "-t", "1", "-f", "null", "-")
	eventually(t, "RTMP plays", func() bool { return play.lastFrame() > 0 })

	c.refusals(t, hidden, managed, standing, token)
	b.do(nil, "close", "webrtc") // viewers leave
	encoder.stop()
	glasses.stop()
	_, _, metrics := get(t, c.url+"/metrics")
	hidden.wantNone(t, "/metrics", string(metrics))
	if code := c.api("DELETE", "/api/v1/streams/"+standing.ID, nil, nil); code >= 300 {
		t.Errorf("delete: %d", code)
	}
	a.do(nil, "stopManaged")
	late := publish(t, standing.Ingest["rtmp"]) // a key that is known no more
	<-late.done
	a.stop()
	c.stop()

	hidden["link's token"] = link[2]
	c.mu.Lock()
	defer c.mu.Unlock()
	debug := false
	for _, line := range c.lines {
		debug = debug || strings.Contains(line, "level=DEBUG")
		if !strings.Contains(line, link[1]) { // the link is to be seen, once
			hidden.wantNone(t, "the output", line)
		}
	}
	if !debug {
		t.Error("the log is not at level debug")
	}
}

// refusals provokes errors with parts of the truth and reads the answers.
func (c *cloud) refusals(t *testing.T, hidden secrets, managed urls, standing stream, token string) {
	t.Helper()
	for _, r := range []struct{ method, url, auth, body string }{
		{"GET", c.url + "/api/v1/streams", c.token + "x", ""},
		{"GET", c.url + "/api/v1/streams?token=" + c.token, "", ""},
		{"POST", c.url + "/api/v1/streams", c.token, `{"name":7}`},
		{"GET", c.url + "/api/v1/streams/none", c.token, ""},
		{"POST", c.url + "/api/v1/apps", c.token, `{"package":"com.example.secrets","url":"http://127.0.0.1:1","api_key":"` + apiKey + `"}`},
		{"POST", c.url + "/api/v1/users/nobody@example.com/apps/com.example.secrets/start", token, ""},
		{"GET", managed.HLS + "x", "", ""},
		{"GET", strings.Replace(standing.Play["hls"], "index.m3u8", "nothing.m4s", 1), "", ""},
		{"POST", standing.Play["whep"], "", "v=0\r\nno offer"},
		{"DELETE", standing.Play["whep"] + "/nobody", "", ""},
		{"POST", managed.HLS, "", ""},
		{"GET", c.url + "/glasses-ws?token=" + token + "x", "", ""},
		{"GET", c.url + "/app-ws", apiKey, ""},
		{"POST", c.url + "/whip/" + hidden["ingest key"], "", ""},
		{"GET", c.url + "/live/" + hidden["ingest key"] + "/index.m3u8", "", ""},
	} {
		req, err := http.NewRequest(r.method, r.url, strings.NewReader(r.body))
		if err != nil {
			t.Fatal(err)
		}
		if r.auth != "" {
			req.Header.Set("Authorization", "Bearer "+r.auth)
		}
		if strings.HasPrefix(r.body, "{") {
			req.Header.Set("Content-Type", "application/json")
		} else if r.body != "" {
			req.Header.Set("Content-Type", "application/sdp")
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		_ = res.Write(&text) // headers as well
		_ = res.Body.Close()
		if res.StatusCode < 400 {
			t.Errorf("%s %s: %d, want a refusal", r.method, r.url, res.StatusCode)
		}
		hidden.wantNone(t, "the answer to "+r.method+" "+r.url, text.String())
	}
	if c.acceptsKey(t, "com.example.secrets", apiKey+"x") {
		t.Error("a wrong key is right")
	}
}
