package e2e

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/coder/websocket"
)

// SIGHUP: a new API key and log level are in force at once and everything goes
// on; a broken file changes nothing; what needs a restart is named.
func TestReload(t *testing.T) {
	parallel(t, others)
	const user, pkg, newKey = "wearer@example.com", "com.example.reload", "another-key-for-tests"
	port := freePort(t)
	c := startCloud(t, "apps:\n"+appConfig(pkg, port, "CAMERA")+"users:\n  - {id: "+user+"}\n")
	c.startGlasses(t, user)
	a := startApp(t, "sdk2", pkg, port)
	c.startSession(a, user)
	var running urls
	a.do(&running, "managed", map[string]any{})
	original, err := os.ReadFile(c.config)
	if err != nil {
		t.Fatal(err)
	}
	hangup := func(text string) {
		t.Helper()
		if err := os.WriteFile(c.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := c.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}

	hangup(string(original) + "nonsense: [\n")
	c.waitLine(`level=ERROR msg="reload failed, the old settings stay"`, 0)
	if !c.acceptsKey(t, pkg, apiKey) {
		t.Error("a broken file took the key away")
	}

	changed := strings.ReplaceAll(string(original), apiKey, newKey)
	hangup(strings.Replace(changed, `rtmp: {addr: "127.0.0.1:0"}`, `rtmp: {addr: ""}`, 1) + "log_level: debug\n")
	c.waitLine(`msg="settings reloaded" new_api_keys=`+pkg, 0)
	c.waitLine(`msg="changed settings need a restart" settings=rtmp.addr`, 0)
	if c.acceptsKey(t, pkg, apiKey) {
		t.Error("the old key still opens")
	}
	if !c.acceptsKey(t, pkg, newKey) {
		t.Error("the new key does not open")
	}
	get(t, c.url+"/app-ws") // no websocket: worth a line at level debug
	c.waitLine(`level=DEBUG msg="websocket upgrade failed"`, 0)
	fetchOK(t, running.HLS)
	a.do(nil, "text", "still here")
	if n := a.count(`^@\{"event":"stop"`); n != 0 {
		t.Error("the app's session ended")
	}
	if n := c.count(apiKey) + c.count(newKey); n != 0 {
		t.Errorf("%d lines of the log show a key", n)
	}
}

// acceptsKey says whether the API key of an app is right: an app that nobody
// asked for is then refused for another reason.
func (c *cloud) acceptsKey(t *testing.T, pkg, key string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(c.url, "http")+"/app-ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ws.CloseNow() }()
	b, err := json.Marshal(map[string]string{
		"type": "tpa_connection_init", "packageName": pkg, "apiKey": key, "sessionId": "nobody@example.com-" + pkg,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := ws.Write(ctx, websocket.MessageText, b); err != nil {
		t.Fatal(err)
	}
	var answer struct{ Type, Code string }
	_, frame, err := ws.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	decode(t, frame, &answer)
	if answer.Type != "tpa_connection_error" {
		t.Errorf("a stranger was answered %s", frame)
	}
	return answer.Code != "INVALID_API_KEY"
}
