package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// call makes a request with a bearer token and returns the answer as it is.
func (c *cloud) call(t *testing.T, method, path, bearer, body string) (code int, answer string) {
	t.Helper()
	req, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// What a phone calls over HTTP, with apps of every style behind it: the list of
// apps, starting and stopping them under both paths, the state of the glasses
// that apps then hear of; and what SDKs call: permissions and settings. Without
// the wearer's token it all is refused in the phone's words.
func TestPhoneCalls(t *testing.T) {
	parallel(t, others)
	const user = "wearer@example.com"
	f := newFour(t, "", "CAMERA, MICROPHONE")
	c := startCloud(t, f.config+"users:\n  - {id: "+user+"}\n")
	token := c.userToken(t, user)
	c.rawGlasses(t, user, false)
	running := func(pkg string) bool {
		t.Helper()
		for _, path := range []string{"/apps", "/api/apps"} {
			code, body := c.call(t, "GET", path, token, "")
			var list struct {
				Success bool
				Data    []struct {
					PackageName string
					IsRunning   bool `json:"is_running"`
				}
			}
			if err := json.Unmarshal([]byte(body), &list); err != nil || code != http.StatusOK || !list.Success || len(list.Data) != len(styles) {
				t.Fatalf("GET %s: %d %s", path, code, body)
			}
			if path == "/api/apps" {
				return slices.ContainsFunc(list.Data, func(a struct {
					PackageName string
					IsRunning   bool `json:"is_running"`
				},
				) bool {
					return a.PackageName == pkg && a.IsRunning
				})
			}
		}
		return false
	}
	for i, style := range styles {
		pkg, prefix := "com.example."+style, []string{"/apps/", "/api/apps/"}[i%2]
		a := startApp(t, style, pkg, f.ports[style])
		if running(pkg) {
			t.Errorf("%s runs before its start", style)
		}
		if code, body := c.call(t, "POST", prefix+pkg+"/start", token, "{}"); code != 200 ||
			strings.TrimSpace(body) != `{"success":true,"data":{"status":"started","isRunning":true}}` {
			t.Errorf("start %s: %d %s", style, code, body)
		}
		a.wait("session", func(e event) bool { return e.Event == "session" })
		if !running(pkg) {
			t.Errorf("%s does not run after its start", style)
		}
		a.do(nil, "listen")
		a.existing() // answered after the subscriptions
		for _, on := range []string{"false", "true"} {
			if code, body := c.call(t, "POST", "/api/client/device/state", token, `{"wifiConnected":`+on+`}`); code != 200 || !strings.Contains(body, `"success":true`) {
				t.Errorf("device state: %d %s", code, body)
			}
			a.wait("Wi-Fi "+on, func(e event) bool { return e.Event == "heard" && e.Kind == "wifi" && e.Text == on })
		}
		code, body := c.call(t, "GET", "/api/public/permissions/"+pkg, "", "")
		var permissions struct {
			PackageName string
			Permissions []struct{ Type string }
		}
		if err := json.Unmarshal([]byte(body), &permissions); err != nil || code != 200 || permissions.PackageName != pkg || fmt.Sprint(permissions.Permissions) != "[{CAMERA} {MICROPHONE}]" {
			t.Errorf("permissions of %s: %d %s", style, code, body)
		}
		if code, body := c.call(t, "GET", "/appsettings/user/"+pkg, user+"-"+pkg, ""); code != 200 || strings.TrimSpace(body) != `{"settings":[],"success":true}` {
			t.Errorf("settings of %s: %d %s", style, code, body)
		}
		if code, body := c.call(t, "POST", prefix+pkg+"/stop", token, ""); code != 200 ||
			strings.TrimSpace(body) != `{"success":true,"data":{"status":"stopped","isRunning":false}}` {
			t.Errorf("stop %s: %d %s", style, code, body)
		}
		if e := a.wait("stop", func(e event) bool { return e.Event == "stop" }); !strings.Contains(e.Reason, "user_disabled") {
			t.Errorf("%s was stopped for %q", style, e.Reason)
		}
		if n, m := a.stops("user_disabled"); running(pkg) || n != 1 || m != 0 {
			t.Errorf("%s: onStop ran %d times, and %d for another reason; runs: %v", style, n, m, running(pkg))
		}
		a.stop()
		if code, body := c.call(t, "POST", prefix+pkg+"/start", token, ""); code < 400 || !strings.Contains(body, "could not be started") {
			t.Errorf("start %s without its server: %d %s", style, code, body)
		}
	}
	for _, r := range []struct{ method, path, bearer, words string }{
		{"GET", "/apps", "", "No core token provided"},
		{"POST", "/apps/com.example.sdk2/start", token + "x", "Invalid core token"},
		{"POST", "/api/client/device/state", "", "No core token provided"},
		{"POST", "/apps/com.example.nobody/start", token, "PACKAGE_NOT_FOUND"},
		{"GET", "/api/public/permissions/com.example.nobody", "", "PACKAGE_NOT_FOUND"},
		{"GET", "/appsettings/user/com.example.nobody", "x", "PACKAGE_NOT_FOUND"},
	} {
		if code, body := c.call(t, r.method, r.path, r.bearer, "{}"); code < 400 || code >= 500 || !strings.Contains(body, r.words) {
			t.Errorf("%s %s: %d %s, want a refusal with %q", r.method, r.path, code, body, r.words)
		}
	}
}
