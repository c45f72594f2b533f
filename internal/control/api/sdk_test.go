package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"glimpse/internal/control/session"
	"glimpse/internal/control/storage"
	"glimpse/protocol"
)

const storageOf = "/api/sdk/simple-storage/fixed%40example.com"

// The calls as the published SDKs make them (WIRE b.1).
func TestSimpleStorage(t *testing.T) {
	b := newBench(t, Config{})
	app := []string{"Authorization", "Bearer com.fixed:fixed-key"}
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", storageOf, "", 200, `{"data":{},"success":true}`},
		{"PUT", storageOf, `{"data":{"a":"1","b/ä?":"2"}}`, 200, `{"success":true}`},
		{"PUT", storageOf, `{"data":{"a":"3"}}`, 200, `{"success":true}`},
		{"GET", storageOf, "", 200, `{"data":{"a":"3","b/ä?":"2"},"success":true}`},
		{"GET", "/api/sdk/simple-storage/Fixed@Example.com", "", 200, `{"data":{"a":"3","b/ä?":"2"},"success":true}`},
		{"GET", storageOf + "/b%2F%C3%A4%3F", "", 200, `{"data":"2","success":true}`},
		{"DELETE", storageOf + "/b%2F%C3%A4%3F", "", 200, `{"success":true}`},
		{"DELETE", storageOf + "/never", "", 200, `{"success":true}`},
		{"GET", storageOf + "/never", "", 404, `{"success":false,"code":"NOT_FOUND","message":"There is no such key."}`},
		{"GET", storageOf, "", 200, `{"data":{"a":"3"},"success":true}`},
		{"DELETE", storageOf, "", 200, `{"success":true}`},
		{"GET", storageOf, "", 200, `{"data":{},"success":true}`},
	} {
		w := b.call(c.method, c.path, c.body, app...)
		if got := strings.TrimSpace(w.Body.String()); w.Code != c.status || got != c.want {
			t.Errorf("%s %s: %d %s, want %d %s", c.method, c.path, w.Code, got, c.status, c.want)
		}
	}
}

func TestSimpleStorageRefusals(t *testing.T) {
	good := "Bearer com.fixed:fixed-key"
	for _, c := range []struct {
		name, auth, path, body string
		status                 int
		code                   protocol.Code
	}{
		{"no key", "", storageOf, `{}`, 401, codeUnauthorized},
		{"no package", "Bearer fixed-key", storageOf, `{}`, 401, codeUnauthorized},
		{"wrong key", "Bearer com.fixed:wr0ng-key", storageOf, `{}`, 401, protocol.CodeInvalidAPIKey},
		{"unknown app", "Bearer com.none:fixed-key", storageOf, `{}`, 401, protocol.CodeInvalidAPIKey},
		{"the operator's token", "Bearer " + adminToken, storageOf, `{}`, 401, codeUnauthorized},
		{"unknown user", good, "/api/sdk/simple-storage/nobody", `{}`, 404, codeUserNotFound},
		{"no JSON", good, storageOf, `{`, 400, codeInvalid},
		{"no data", good, storageOf, `{}`, 400, codeInvalid},
		{"data of another kind", good, storageOf, `{"data":{"k":1}}`, 400, codeInvalid},
		{"too deep", good, storageOf, `{"data":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, 400, codeInvalid},
		{"empty name", good, storageOf, `{"data":{"":"v"}}`, 400, codeInvalid},
		{"long value", good, storageOf, `{"data":{"k":"` + strings.Repeat("v", storage.MaxValue+1) + `"}}`, 400, codeInvalid},
		{"long body", good, storageOf, `{"data":{"k":"` + strings.Repeat("v", maxStorageBody) + `"}}`, 413, codeTooLarge},
		{"too much", good, storageOf, `{"data":{` + manyValues(11) + `}}`, 413, codeTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, Config{})
			w := b.call("PUT", c.path, c.body, "Authorization", c.auth)
			var said failure
			if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil || w.Code != c.status || said.Code != c.code || said.Message == "" || said.Success {
				t.Errorf("%d %.200s, want %d %s", w.Code, w.Body, c.status, c.code)
			}
			for _, secret := range []string{"wr0ng-key", "fixed-key", adminToken} {
				if strings.Contains(w.Body.String(), secret) || strings.Contains(b.log.String(), secret) {
					t.Errorf("secret %q in the answer or the log", secret)
				}
			}
		})
	}
}

func manyValues(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`"%d":"%s"`, i, strings.Repeat("v", storage.MaxValue)))
	}
	return strings.Join(list, ",")
}

// Wrong keys are put off after a few, for the app from that address alone; the
// operator and other apps behind it are not.
func TestStorageThrottle(t *testing.T) {
	b := newBench(t, Config{})
	for range 3 {
		if w := b.call("GET", storageOf, "", "Authorization", "Bearer com.fixed:wrong-key"); w.Code != 401 {
			t.Fatalf("%d, want 401", w.Code)
		}
	}
	if w := b.call("GET", storageOf, "", "Authorization", "Bearer com.fixed:fixed-key"); w.Code != 429 {
		t.Errorf("%d after three wrong keys, want 429", w.Code)
	}
	if w := b.call("GET", storageOf, "", "Authorization", "Bearer com.other:fixed-key"); w.Code != 401 {
		t.Errorf("another app: %d, want 401", w.Code)
	}
	b.expect(b.call("GET", "/api/v1/apps", ""), 200, "")
}

// What an app stored for a wearer goes with the app and with the wearer.
func TestStorageIsForgotten(t *testing.T) {
	b := newBench(t, Config{})
	made := b.expect(b.call("POST", "/api/v1/apps", `{"package":"com.gone","url":"http://x.test","api_key":"the-first-key"}`), 201, "")
	if made["api_key"] != "the-first-key" {
		t.Fatal(made)
	}
	b.expect(b.call("POST", "/api/v1/users", `{"id":"gone@example.com"}`), 201, "")
	put := func(auth, user string) {
		t.Helper()
		if w := b.call("PUT", "/api/sdk/simple-storage/"+user, `{"data":{"k":"v"}}`, "Authorization", "Bearer "+auth); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	put("com.gone:the-first-key", "fixed@example.com")
	put("com.fixed:fixed-key", "gone@example.com")
	put("com.fixed:fixed-key", "fixed@example.com")
	b.expect(b.call("DELETE", "/api/v1/apps/com.gone", ""), 204, "")
	b.expect(b.call("DELETE", "/api/v1/users/gone@example.com", ""), 204, "")
	for owner, want := range map[[2]string]int{
		{"com.gone", "fixed@example.com"}: 0, {"com.fixed", "gone@example.com"}: 0, {"com.fixed", "fixed@example.com"}: 1,
	} {
		if data, err := b.deps.Storage.All(t.Context(), owner[0], owner[1]); err != nil || len(data) != want {
			t.Errorf("%v: %v, %v; want %d", owner, data, err, want)
		}
	}
}

func TestAppSettings(t *testing.T) {
	b := newBench(t, Config{})
	w := b.call("GET", "/appsettings/user/com.fixed", "", "Authorization", "Bearer fixed@example.com-com.fixed")
	if got := strings.TrimSpace(w.Body.String()); w.Code != 200 || got != `{"settings":[],"success":true}` {
		t.Errorf("%d %s", w.Code, got)
	}
	if w := b.call("GET", "/appsettings/user/com.none", ""); w.Code != 404 {
		t.Errorf("unknown app: %d", w.Code)
	}
}

func TestPhoneCalls(t *testing.T) {
	b := newBench(t, Config{})
	token, err := b.tokens.Sign("fresh@example.com")
	if err != nil {
		t.Fatal(err)
	}
	phone := []string{"Authorization", "Bearer " + token}
	for _, path := range []string{"/apps", "/api/apps"} {
		w := b.call("GET", path, "", phone...)
		want := `{"data":[{"packageName":"com.fixed","name":"com.fixed","appType":"standard",` +
			`"permissions":[{"type":"CAMERA","description":"","_id":"com.fixed:CAMERA"}],"is_running":true}],"success":true}`
		if got := strings.TrimSpace(w.Body.String()); w.Code != 200 || got != want {
			t.Errorf("%s: %d %s, want %s", path, w.Code, got, want)
		}
	}
	const state = "/api/client/device/state"
	w := b.call("POST", state, `{"modelName":"Mentra Live"}`, phone...)
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"appliedState":{"modelName":"Mentra Live"},"success":true,"timestamp":"`) {
		t.Errorf("device state: %d %s", w.Code, w.Body)
	}
	for name, c := range map[string]struct {
		method, path, body string
		headers            []string
		err                error
		status             int
	}{
		"apps without token":   {"GET", "/apps", "", []string{"Authorization", ""}, nil, 401},
		"device without token": {"POST", state, "{}", []string{"Authorization", ""}, nil, 401},
		"no JSON":              {"POST", state, "{", phone, nil, 400},
		"no object":            {"POST", state, "null", phone, nil, 400},
		"too long":             {"POST", state, `{"x":"` + strings.Repeat("x", maxBody) + `"}`, phone, nil, 413},
		"wrong type":           {"POST", state, "{}", phone, &session.Refusal{Code: protocol.CodeMalformedMessage, Text: "x"}, 400},
		"no session":           {"POST", state, "{}", phone, &session.Refusal{Code: protocol.CodeSessionNotFound, Text: "x"}, 404},
	} {
		b.wearers.err = c.err
		w := b.call(c.method, c.path, c.body, c.headers...)
		if w.Code != c.status || !strings.Contains(w.Body.String(), `"success":false`) {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, c.status)
		}
	}
}

// FuzzStorageCall sends any path, key and body as an app: the server is never at
// fault.
func FuzzStorageCall(f *testing.F) {
	f.Add("PUT", "fixed@example.com", "Bearer com.fixed:fixed-key", `{"data":{"k":"v"}}`)
	f.Add("DELETE", "fixed%40example.com/k", "Bearer com.fixed:fixed-key", "")
	f.Add("GET", "a/b/c", "bearer :", "")
	f.Add("PUT", "fixed@example.com", "Bearer com.fixed:fixed-key", `{"data":{"":null,"\ud800":"\u0000"}}`)
	b := newBench(f, Config{})
	f.Fuzz(func(t *testing.T, method, path, key, body string) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://cloud.test/api/sdk/simple-storage/"+path, strings.NewReader(body))
		if err != nil {
			return
		}
		r.Header.Set("Authorization", key)
		w := httptest.NewRecorder()
		b.mux.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%s %q with %q: %d %s", method, path, body, w.Code, w.Body)
		}
	})
}
