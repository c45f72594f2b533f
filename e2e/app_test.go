package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const apiKey = "key-for-tests-only"

// app is a program on the published SDK, steered by apps/driver.mjs.
type app struct {
	*process
	pkg  string
	next int // id of the next command
	read int // lines already looked at by wait
}

// event is a line of the driver.
type event struct {
	Event     string          `json:"event"`
	ID        int             `json:"id"`
	Error     string          `json:"error"`
	Result    json.RawMessage `json:"result"`
	Kind      string          `json:"kind"`
	Status    string          `json:"status"`
	StreamID  string          `json:"streamId"`
	Message   string          `json:"message"`
	Details   string          `json:"errorDetails"`
	Text      string          `json:"text"`
	PressType string          `json:"pressType"`
	Reason    string          `json:"reason"`
	SessionID string          `json:"sessionId"`
	Stats     *struct {
		Bitrate, FPS, DroppedFrames, Duration float64
	} `json:"stats"`
	HLS     string `json:"hlsUrl"`
	Outputs []struct {
		Status, Error string
	} `json:"outputs"`
}

// appConfig is an entry of the configuration's apps list.
func appConfig(pkg string, port int, permissions string) string {
	return fmt.Sprintf("  - {package: %s, api_key: %s, url: \"http://127.0.0.1:%d\", permissions: [%s]}\n", pkg, apiKey, port, permissions)
}

// startApp runs apps/<style>.mjs, with more variables in its environment, and
// waits until its webhook listens.
func startApp(t *testing.T, style, pkg string, port int, more ...string) *app {
	t.Helper()
	a := launchApp(t, style, pkg, port, more...)
	a.ready()
	return a
}

// ready waits until the webhook listens. Node takes its time on a busy machine,
// and nothing is tested of it.
func (a *app) ready() {
	a.t.Helper()
	within(a.t, 3*patience, a.name+" is ready", func() bool { return a.count(`^@\{"event":"ready"`) > 0 })
}

// launchApp is startApp without the wait.
func launchApp(t *testing.T, style, pkg string, port int, more ...string) *app {
	t.Helper()
	env := append([]string{"NODE_COMPILE_CACHE=" + filepath.Join(scratch, "node"), // half of what a start costs
		"PACKAGE_NAME=" + pkg, "MENTRAOS_API_KEY=" + apiKey, fmt.Sprintf("PORT=%d", port)}, more...)
	return &app{process: start(t, "app "+pkg, env, node(t), "apps/"+style+".mjs"), pkg: pkg}
}

// wait returns the next event that fits.
func (a *app) wait(what string, fits func(event) bool) event {
	a.t.Helper()
	deadline := time.After(patience)
	for {
		a.mu.Lock()
		for a.read < len(a.lines) {
			line := a.lines[a.read]
			a.read++
			var e event
			if rest, ok := strings.CutPrefix(line, "@"); ok && json.Unmarshal([]byte(rest), &e) == nil && fits(e) {
				a.mu.Unlock()
				return e
			}
		}
		more := a.more
		a.mu.Unlock()
		select {
		case <-more:
		case <-a.done:
			a.t.Fatalf("%s ended while waiting for %s", a.name, what)
		case <-deadline:
			a.t.Fatalf("%s: no %s within %v", a.name, what, patience)
		}
	}
}

// send starts a command and returns its id.
func (a *app) send(cmd string, args ...any) int {
	a.t.Helper()
	a.next++
	b, err := json.Marshal(map[string]any{"id": a.next, "cmd": cmd, "args": append([]any{}, args...)})
	if err != nil {
		a.t.Fatal(err)
	}
	a.say(string(b))
	return a.next
}

// result waits for a command's end.
func (a *app) result(id int) event {
	a.t.Helper()
	return a.wait(fmt.Sprintf("result of command %d", id), func(e event) bool { return e.Event == "result" && e.ID == id })
}

// do runs a command that must succeed and decodes its result.
func (a *app) do(out any, cmd string, args ...any) {
	a.t.Helper()
	e := a.result(a.send(cmd, args...))
	if e.Error != "" {
		a.t.Fatalf("%s %s: %s", a.name, cmd, e.Error)
	}
	if out != nil {
		if err := json.Unmarshal(e.Result, out); err != nil {
			a.t.Fatalf("%s %s: %v in %s", a.name, cmd, err, e.Result)
		}
	}
}

// status waits for a stream status of this word.
func (a *app) status(word string) event {
	a.t.Helper()
	return a.wait("status "+word, func(e event) bool { return e.Event == "status" && e.Status == word })
}

// mark forgets events so far, so that wait sees only what comes.
func (a *app) mark() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.read = len(a.lines)
}

// wearer is a user with simulated glasses.
type wearer struct {
	*process
	id string
}

// startGlasses runs `glimpse glasses` for a user of the cloud, with more flags.
func (c *cloud) startGlasses(t *testing.T, id string, more ...string) *wearer {
	t.Helper()
	token := runCommand(t, binary, "user", "token", id, "--config", c.config)
	argv := append([]string{binary, "glasses", "--server", c.url, "--token", strings.TrimSpace(token)}, more...)
	w := &wearer{process: start(t, "glasses "+id, nil, argv...), id: id}
	w.waitLine(`(?i)connected`, 0)
	return w
}

// startSession starts an app for a user and waits until its onSession ran.
func (c *cloud) startSession(a *app, user string) {
	c.t.Helper()
	if code := c.api("POST", "/api/v1/users/"+user+"/apps/"+a.pkg+"/start", nil, nil); code >= 300 {
		c.t.Fatalf("start %s for %s: %d", a.pkg, user, code)
	}
	a.wait("session", func(e event) bool { return e.Event == "session" })
}

// urls is what a managed start resolves to.
type urls struct {
	HLS       string `json:"hlsUrl"`
	DASH      string `json:"dashUrl"`
	WebRTC    string `json:"webrtcUrl"`
	Preview   string `json:"previewUrl"`
	Thumbnail string `json:"thumbnailUrl"`
	StreamID  string `json:"streamId"`
}

// fetchOK fails unless the URL answers 200.
func fetchOK(t *testing.T, url string) []byte {
	t.Helper()
	code, _, body := get(t, url)
	if code != http.StatusOK {
		t.Fatalf("GET %s: %d %.200s", url, code, body)
	}
	return body
}

func decode(t *testing.T, raw json.RawMessage, out any) {
	t.Helper()
	if err := json.Unmarshal(raw, out); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
}

func patienceOver() <-chan time.Time { return time.After(patience) }

// listening says whether somebody accepts on a loopback port, without
// connecting (ffmpeg -listen takes the first connection).
func listening(port int) bool {
	b, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		time.Sleep(time.Second) // no /proc: give it a second
		return true
	}
	return strings.Contains(string(b), fmt.Sprintf("0100007F:%04X 00000000:0000 0A", port))
}
