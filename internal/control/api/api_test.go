package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"glimpse/internal/control/apps"
	"glimpse/internal/control/auth"
	"glimpse/internal/control/events"
	"glimpse/internal/control/reports"
	"glimpse/internal/control/session"
	"glimpse/internal/control/storage"
	"glimpse/internal/control/store"
	"glimpse/internal/control/streams"
	"glimpse/internal/control/tap"
	"glimpse/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const adminToken = "test-admin-token-0123456789"

// fakeMedia is the media plane: it remembers what is open.
type fakeMedia struct {
	mu   sync.Mutex
	open map[string]Live
	end  error // of EndStream
}

func (m *fakeMedia) OpenStanding(s streams.Stream) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open[s.ID] = Live{ID: s.ID, Name: s.Name, Status: "idle", IngestKey: s.IngestKey, PlaybackID: s.PlaybackID}
	return nil
}

func (m *fakeMedia) CloseStanding(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.open, id)
}

func (m *fakeMedia) SetOutputs(s streams.Stream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.open[s.ID]
	l.Outputs = nil
	for _, o := range s.Restream {
		l.Outputs = append(l.Outputs, Output{ID: "id-" + o.Name, Name: o.Name, Status: "idle"})
	}
	m.open[s.ID] = l
}

func (m *fakeMedia) CheckOutput(url string) error {
	if !strings.HasPrefix(url, "rtmp://") {
		return errors.New("must be rtmp")
	}
	return nil
}

func (m *fakeMedia) Streams() []Live {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Live
	for _, l := range m.open {
		list = append(list, l)
	}
	return list
}

func (m *fakeMedia) Stream(id string) (Live, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, ok := m.open[id]
	return l, ok
}

func (m *fakeMedia) Viewers(id string) (Viewers, bool) {
	_, ok := m.Stream(id)
	return Viewers{Active: 2, Protocols: map[string]Watching{}, Viewers: []Viewer{}}, ok
}

func (m *fakeMedia) EndStream(_ context.Context, id string) error {
	m.CloseStanding(id)
	return m.end
}

// fakeWearers answers starts with err and notes every call.
type fakeWearers struct {
	mu    sync.Mutex
	err   error
	calls []string
	list  []Wearer
}

func (w *fakeWearers) StartApp(_ context.Context, user, pkg, base string) error {
	return w.call("start " + user + " " + pkg + " " + base)
}

func (w *fakeWearers) StopApp(_ context.Context, user, pkg string) error {
	return w.call("stop " + user + " " + pkg)
}

func (w *fakeWearers) call(what string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, what)
	return w.err
}

func (w *fakeWearers) Wearers(context.Context) []Wearer { return w.list }

func (w *fakeWearers) RunningApps(context.Context, string) []string { return []string{"com.fixed"} }

func (w *fakeWearers) DeviceState(_ context.Context, user string, patch map[string]json.RawMessage) (map[string]any, error) {
	return map[string]any{"modelName": patch["modelName"]}, w.call("device " + user)
}

type fakeServer struct {
	info  Info
	ready bool
}

func (s *fakeServer) Info() Info  { return s.info }
func (s *fakeServer) Ready() bool { return s.ready }

// bench is an API on fakes and real registries in memory.
type bench struct {
	t       testing.TB
	mux     *http.ServeMux
	deps    Deps
	media   *fakeMedia
	wearers *fakeWearers
	server  *fakeServer
	outputs fakeOutputs
	tokens  *auth.CoreTokens
	log     *strings.Builder

	recordings *fakeRecordings
	api        *API
}

func newBench(t testing.TB, cfg Config) *bench {
	t.Helper()
	backend := store.NewMemory()
	t.Cleanup(backend.Close)
	b := &bench{
		t: t, mux: http.NewServeMux(), media: &fakeMedia{open: map[string]Live{}}, wearers: &fakeWearers{}, log: &strings.Builder{},
		recordings: &fakeRecordings{},
		server: &fakeServer{ready: true, info: Info{Version: "1", HTTP: Listener{Addr: "127.0.0.1:8002"},
			RTMP: Listener{Addr: "[::]:1935"}, WebRTC: Listener{Addr: "[::]:8189"}}},
		tokens: auth.NewCoreTokens("secret-of-the-test", time.Now),
	}
	log := slog.New(slog.NewTextHandler(&lockedWriter{w: b.log}, nil))
	registry, err := apps.New(t.Context(), backend, []apps.Spec{
		{Package: "com.fixed", APIKey: "fixed-key", URL: "http://127.0.0.1:1", Permissions: []string{"CAMERA"}},
	}, time.Now, log)
	if err != nil {
		t.Fatal(err)
	}
	users, err := auth.NewUsers(t.Context(), backend, []string{"fixed@example.com"}, time.Now, log)
	if err != nil {
		t.Fatal(err)
	}
	standing, err := streams.New(t.Context(), backend, []streams.Configured{
		{Name: "fixed", IngestKey: "fixedkey", PlaybackID: "fixedid"},
	}, b.media, time.Now, log)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := storage.New(t.Context(), backend)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := reports.New(t.Context(), backend, time.Now, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kept.Close)
	b.deps = Deps{
		Recordings: b.recordings, Clips: b.recordings, Reports: kept,
		Storage: stored, AppKeys: auth.NewThrottle(3, time.Minute, time.Now),
		Apps: registry, Users: users, Standing: standing, Media: b.media, Outputs: &b.outputs, Wearers: b.wearers, Server: b.server,
		Tokens: b.tokens, Taps: tap.New(), Events: events.New(8, time.Now), Logins: auth.NewLogins(time.Now), Throttle: auth.NewThrottle(5, time.Minute, time.Now),
	}
	cfg.AdminToken = adminToken
	a, err := New(b.deps, cfg, "1", log)
	if err != nil {
		t.Fatal(err)
	}
	b.api = a
	a.Mount(b.mux)
	return b
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// call sends a request as the operator unless headers say otherwise; a header
// with an empty value is left out.
func (b *bench) call(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://cloud.test:8002"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+adminToken)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Del(headers[i])
		if headers[i+1] != "" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	b.mux.ServeHTTP(w, r)
	return w
}

// expect checks status and, for problems, code and shape.
func (b *bench) expect(w *httptest.ResponseRecorder, status int, code protocol.Code) map[string]any {
	b.t.Helper()
	var body map[string]any
	if w.Body.Len() > 0 && strings.Contains(w.Header().Get("Content-Type"), "json") {
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			b.t.Fatalf("answer is no JSON: %v: %s", err, w.Body)
		}
	}
	if w.Code != status {
		b.t.Fatalf("status %d, want %d: %s", w.Code, status, w.Body)
	}
	if code != "" {
		if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
			b.t.Errorf("content type %q, want a problem", got)
		}
		if body["code"] != string(code) || body["detail"] == "" || body["status"] != float64(status) {
			b.t.Errorf("problem %v, want code %s with a sentence", body, code)
		}
	}
	return body
}

func at(t *testing.T, v any, path ...string) any {
	t.Helper()
	for _, key := range path {
		m, ok := v.(map[string]any)
		if !ok {
			t.Fatalf("%v: %v is no object", path, v)
		}
		v = m[key]
	}
	return v
}

func TestRefusals(t *testing.T) {
	huge := `{"name":"` + strings.Repeat("x", maxBody) + `"}`
	cases := []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		code                     protocol.Code
	}{
		{"no token", "GET", "/api/v1/streams", "", []string{"Authorization", ""}, 401, codeUnauthorized},
		{"wrong token", "GET", "/api/v1/streams", "", []string{"Authorization", "Bearer wrong"}, 401, codeUnauthorized},
		{"empty token", "GET", "/api/v1/streams", "", []string{"Authorization", "Bearer "}, 401, codeUnauthorized},
		{"basic", "GET", "/api/v1/streams", "", []string{"Authorization", "Basic eDp5"}, 401, codeUnauthorized},
		{"wrong cookie", "GET", "/api/v1/streams", "", []string{"Authorization", "", "Cookie", auth.SessionCookie + "=x"}, 401, codeUnauthorized},
		{"unknown path", "GET", "/api/v1/nothing", "", nil, 404, codeNotFound},
		{"unknown path unauthorised", "GET", "/api/v1/nothing", "", []string{"Authorization", ""}, 401, codeUnauthorized},
		{"unknown method", "PATCH", "/api/v1/streams", "{}", nil, 404, codeNotFound},
		{"record object", "POST", "/api/v1/streams", `{"record":{"for":"1h"}}`, nil, 422, codeInvalid},
		{"record sometimes", "POST", "/api/v1/streams", `{"record":"sometimes"}`, nil, 422, codeInvalid},
		{"restream to nowhere", "POST", "/api/v1/streams", `{"restream":[{"url":"http://x/y/sh0rt"}]}`, nil, 422, protocol.CodeInvalidURL},
		{"restream twice", "POST", "/api/v1/streams", `{"restream":[{"url":"rtmp://x/y"},{"url":"rtmp://x/y"}]}`, nil, 409, protocol.CodeDuplicateURL},
		{"unknown field", "POST", "/api/v1/streams", `{"ingest_key":"mine"}`, nil, 422, codeInvalid},
		{"bad name", "POST", "/api/v1/streams", `{"name":"a b"}`, nil, 422, codeInvalid},
		{"window too long", "POST", "/api/v1/streams", `{"resume_window":1801}`, nil, 422, codeInvalid},
		{"window negative", "POST", "/api/v1/streams", `{"resume_window":-1}`, nil, 422, codeInvalid},
		{"wrong type", "POST", "/api/v1/streams", `{"name":7}`, nil, 422, codeInvalid},
		{"no JSON", "POST", "/api/v1/streams", `{`, nil, 400, codeInvalid},
		{"huge", "POST", "/api/v1/streams", huge, nil, 413, codeTooLarge},
		{"unknown stream", "GET", "/api/v1/streams/nope", "", nil, 404, protocol.CodeStreamNotFound},
		{"delete unknown stream", "DELETE", "/api/v1/streams/nope", "", nil, 404, protocol.CodeStreamNotFound},
		{"delete configured stream", "DELETE", "/api/v1/streams/" + fixedStream, "", nil, 409, codeReadOnly},
		{"bad user", "POST", "/api/v1/users", `{"id":"a b"}`, nil, 422, codeInvalid},
		{"user twice", "POST", "/api/v1/users", `{"id":"Fixed@Example.com"}`, nil, 409, codeExists},
		{"delete configured user", "DELETE", "/api/v1/users/fixed@example.com", "", nil, 409, codeReadOnly},
		{"delete unknown user", "DELETE", "/api/v1/users/nobody", "", nil, 404, codeUserNotFound},
		{"app in config", "POST", "/api/v1/apps", `{"package":"com.fixed","url":"http://x.test"}`, nil, 409, codeReadOnly},
		{"app bad url", "POST", "/api/v1/apps", `{"package":"com.x","url":"ftp://x"}`, nil, 422, codeInvalid},
		{"app short key", "POST", "/api/v1/apps", `{"package":"com.x","url":"http://x.test","api_key":"sh0rt"}`, nil, 422, codeInvalid},
		{"app long key", "POST", "/api/v1/apps", `{"package":"com.x","url":"http://x.test","api_key":"` + strings.Repeat("l0ngkey", 40) + `"}`, nil, 422, codeInvalid},
		{"app bad permission", "POST", "/api/v1/apps", `{"package":"com.x","url":"http://x.test","permissions":["FLY"]}`, nil, 422, codeInvalid},
		{"app no url", "POST", "/api/v1/apps", `{"package":"com.x"}`, nil, 422, codeInvalid},
		{"delete configured app", "DELETE", "/api/v1/apps/com.fixed", "", nil, 409, codeReadOnly},
		{"delete unknown app", "DELETE", "/api/v1/apps/com.none", "", nil, 404, protocol.CodePackageNotFound},
		{"wearer away", "GET", "/api/v1/wearers/nobody", "", nil, 404, protocol.CodeSessionNotFound},
		{"start for unknown user", "POST", "/api/v1/users/nobody/apps/com.fixed/start", "", nil, 404, codeUserNotFound},
		{"start unknown app", "POST", "/api/v1/users/fixed@example.com/apps/com.none/start", "", nil, 404, protocol.CodePackageNotFound},
		{"login with nothing", "POST", "/api/v1/login", `{"token":""}`, nil, 422, codeInvalid},
		{"login with wrong token", "POST", "/api/v1/login", `{"token":"wrong-token"}`, nil, 401, codeUnauthorized},
		{"permissions of nobody", "GET", "/api/public/permissions/com.none", "", []string{"Authorization", ""}, 404, protocol.CodePackageNotFound},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, Config{})
			w := b.call(c.method, c.path, c.body, c.headers...)
			b.expect(w, c.status, c.code)
			for _, secret := range []string{adminToken, "sh0rt", "l0ngkey", "wrong-token"} {
				if strings.Contains(w.Body.String(), secret) || strings.Contains(b.log.String(), secret) {
					t.Errorf("secret %q in the answer or the log:\n%s\n%s", secret, w.Body, b.log)
				}
			}
		})
	}
}

// fixedStream is the id of the configured stream "fixed": the same at each start.
const fixedStream = "c992a93455c"

func TestStandingStream(t *testing.T) {
	b := newBench(t, Config{})
	made := b.expect(b.call("POST", "/api/v1/streams", `{"name":"door","resume_window":5,"record":false,"restream":[]}`), 201, "")
	id, _ := made["id"].(string)
	if id == "" || len(id) > 11 || made["status"] != "idle" {
		t.Fatalf("made %v, want an id of at most 11 characters and status idle", made)
	}
	rtmp, _ := at(t, made, "ingest", "rtmp").(string)
	key, ok := strings.CutPrefix(rtmp, "rtmp://cloud.test:1935/live/")
	if !ok || len(key) < 22 {
		t.Errorf("ingest.rtmp %q, want a complete URL with a key of at least 128 bits", rtmp)
	}
	page, _ := at(t, made, "playback", "page").(string)
	playback := strings.TrimSuffix(strings.TrimPrefix(page, "http://cloud.test:8002/live/"), "/")
	if len(playback) < 22 || playback == key || strings.Contains(playback, id) || strings.Contains(key, id) {
		t.Errorf("playback id %q, key %q, id %q: want three unrelated values", playback, key, id)
	}
	for name, want := range map[string]string{
		"whep": page + "whep", "hls": page + "index.m3u8", "dash": page + "index.mpd", "thumbnail": page + "thumbnail.jpg",
		"rtmp": "rtmp://cloud.test:1935/live/" + playback,
	} {
		if got := at(t, made, "playback", name); got != want {
			t.Errorf("playback.%s = %v, want %s", name, got, want)
		}
	}
	for _, missing := range []string{"srt"} {
		if v, there := made["playback"].(map[string]any)[missing]; there {
			t.Errorf("playback.%s = %v of a listener that does not exist", missing, v)
		}
	}
	if _, there := made["$schema"]; there {
		t.Error("the answer repeats the Host header in $schema")
	}

	since := time.Now()
	b.media.mu.Lock()
	live := b.media.open[id]
	live.Status = "live"
	live.Stats = Stats{Protocol: "rtmp", Since: &since, Bitrate: 1e6, FPS: 30, Viewers: map[string]int{"whep": 2}}
	b.media.open[id] = live
	b.media.mu.Unlock()
	shown := b.expect(b.call("GET", "/api/v1/streams/"+id, ""), 200, "")
	if shown["status"] != "live" || at(t, shown, "stats", "viewers", "whep") != 2.0 || shown["resume_window"] != 5.0 {
		t.Errorf("shown %v, want live statistics", shown)
	}
	list := b.expect(b.call("GET", "/api/v1/streams", ""), 200, "")
	if all, _ := list["streams"].([]any); len(all) != 2 {
		t.Errorf("list has %d streams, want this one and the configured one", len(all))
	}
	b.expect(b.call("DELETE", "/api/v1/streams/"+id, ""), 204, "")
	b.expect(b.call("GET", "/api/v1/streams/"+id, ""), 404, protocol.CodeStreamNotFound)
	if _, open := b.media.Stream(id); open {
		t.Error("the media plane still has the deleted stream")
	}
	if strings.Contains(b.log.String(), key) || strings.Contains(b.log.String(), playback) {
		t.Error("a key is in the log")
	}
}

func TestCreateWithoutBody(t *testing.T) {
	b := newBench(t, Config{})
	for _, body := range []string{"", "{}"} {
		made := b.expect(b.call("POST", "/api/v1/streams", body), 201, "")
		if made["resume_window"] != 30.0 {
			t.Errorf("body %q: resume window %v, want 30", body, made["resume_window"])
		}
	}
}

func TestCurlDefaults(t *testing.T) {
	b := newBench(t, Config{})
	made := b.expect(b.call("POST", "/api/v1/streams", `{"name":"x"}`, "Content-Type", "application/x-www-form-urlencoded"), 201, "")
	if made["name"] != "x" {
		t.Errorf("made %v", made)
	}
	b.expect(b.call("POST", "/api/v1/streams", `{"name":"x"}`, "Content-Type", "text/plain"), 415, codeInvalid)
}

func TestURLsFollowListenersAndPublicURL(t *testing.T) {
	b := newBench(t, Config{PublicURL: "https://cloud.example.com/"})
	b.server.info.RTMP, b.server.info.WebRTC = Listener{Why: "off"}, Listener{Why: "off"}
	made := b.expect(b.call("POST", "/api/v1/streams", "{}"), 201, "")
	if ingest := made["ingest"].(map[string]any); len(ingest) != 0 {
		t.Errorf("ingest %v without a listener, want none", ingest)
	}
	playback := made["playback"].(map[string]any)
	if playback["whep"] != nil || playback["rtmp"] != nil {
		t.Errorf("playback %v names listeners that are off", playback)
	}
	if page, _ := playback["page"].(string); !strings.HasPrefix(page, "https://cloud.example.com/live/") {
		t.Errorf("page %q, want the public address", page)
	}
}

func TestMediaOfIPv6Host(t *testing.T) {
	e := Endpoints{Base: "http://[::1]:8002", RTMPPort: 1935, SRTPort: 4201}
	if got, want := e.Ingest("k", "").RTMP, "rtmp://[::1]:1935/live/k"; got != want {
		t.Errorf("rtmp %q, want %q", got, want)
	}
	if got, want := e.Ingest("k", "").SRT, "srt://[::1]:4201?streamid=publish:k"; got != want {
		t.Errorf("srt %q, want %q", got, want)
	}
	if got, want := e.Ingest("k", "correct-horse").SRT, "srt://[::1]:4201?streamid=publish:k&passphrase=correct-horse"; got != want {
		t.Errorf("SRT with a passphrase: %s", got)
	}
	e.RTMPSPort = 1936
	if got, want := e.Playback("p", "").RTMPS, "rtmps://[::1]:1936/live/p"; got != want {
		t.Errorf("RTMPS: %s", got)
	}
	if got, want := e.Playback("p", "").SRT, "srt://[::1]:4201?streamid=read:p"; got != want {
		t.Errorf("srt %q, want %q", got, want)
	}
}

func TestWearersStream(t *testing.T) {
	b := newBench(t, Config{})
	b.media.open["s1"] = Live{ID: "s1", Wearer: "me@example.com", Status: "interrupted", IngestKey: "k", PlaybackID: "p"}
	shown := b.expect(b.call("GET", "/api/v1/streams/s1", ""), 200, "")
	if shown["kind"] != "wearer" || shown["wearer"] != "me@example.com" || shown["status"] != "interrupted" {
		t.Errorf("shown %v, want the wearer's stream", shown)
	}
	b.expect(b.call("DELETE", "/api/v1/streams/s1", ""), 204, "")
	b.expect(b.call("DELETE", "/api/v1/streams/s1", ""), 404, protocol.CodeStreamNotFound)
}

func TestInternalErrorsStayInside(t *testing.T) {
	b := newBench(t, Config{})
	b.media.open["s1"] = Live{ID: "s1"}
	b.media.end = io.ErrUnexpectedEOF
	w := b.call("DELETE", "/api/v1/streams/s1", "")
	b.expect(w, 500, protocol.CodeInternal)
	if strings.Contains(w.Body.String(), "EOF") {
		t.Errorf("the answer holds the inner error: %s", w.Body)
	}
	if !strings.Contains(b.log.String(), "EOF") {
		t.Error("the log does not hold the inner error")
	}
}

func TestLoginCookie(t *testing.T) {
	b := newBench(t, Config{})
	token := b.deps.Logins.NewToken()
	none := []string{"Authorization", ""}
	w := b.call("POST", "/api/v1/login", `{"token":"`+token+`"}`, none...)
	b.expect(w, 204, "")
	cookies := w.Result().Cookies()
	if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode || cookies[0].Secure {
		t.Fatalf("cookies %v, want one HttpOnly SameSite=Strict", cookies)
	}
	cookie := []string{"Authorization", "", "Cookie", cookies[0].Name + "=" + cookies[0].Value}
	b.expect(b.call("GET", "/api/v1/streams", "", cookie...), 200, "")
	b.expect(b.call("POST", "/api/v1/streams", "{}", cookie...), 403, codeCSRF)
	b.expect(b.call("POST", "/api/v1/streams", "{}", append(cookie, auth.CSRFHeader, "1")...), 201, "")
	b.expect(b.call("POST", "/api/v1/login", `{"token":"`+token+`"}`, none...), 401, codeUnauthorized) // single use
	b.expect(b.call("POST", "/api/v1/logout", "", append(cookie, auth.CSRFHeader, "1")...), 204, "")
	b.expect(b.call("GET", "/api/v1/streams", "", cookie...), 401, codeUnauthorized)
	b.expect(b.call("POST", "/api/v1/login", `{"token":"`+adminToken+`"}`, none...), 204, "") // the admin token works too
}

func TestWrongTokensAreThrottled(t *testing.T) {
	b := newBench(t, Config{})
	for range 5 {
		b.expect(b.call("GET", "/api/v1/streams", "", "Authorization", "Bearer wrong"), 401, codeUnauthorized)
	}
	b.expect(b.call("GET", "/api/v1/streams", "", "Authorization", "Bearer wrong"), 429, codeTooMany)
	b.expect(b.call("POST", "/api/v1/login", `{"token":"wrong-token"}`, "Authorization", ""), 429, codeTooMany)
}

func TestUsersAndApps(t *testing.T) {
	b := newBench(t, Config{})
	b.expect(b.call("POST", "/api/v1/users", `{"id":"New@Example.com"}`), 201, "")
	list := b.expect(b.call("GET", "/api/v1/users", ""), 200, "")
	if users, _ := list["users"].([]any); len(users) != 2 || at(t, users[1], "id") != "new@example.com" {
		t.Errorf("users %v, want the configured and the new one in lower case", list)
	}
	b.expect(b.call("DELETE", "/api/v1/users/new%40example.com", ""), 204, "")

	made := b.expect(b.call("POST", "/api/v1/apps", `{"package":"com.x","url":"http://x.test/","permissions":["CAMERA"]}`), 201, "")
	key, _ := made["api_key"].(string)
	if len(key) < 22 || !b.deps.Apps.CheckKey("com.x", key) {
		t.Errorf("made %v, want a key that works", made)
	}
	w := b.call("GET", "/api/v1/apps", "")
	b.expect(w, 200, "")
	if strings.Contains(w.Body.String(), key) || strings.Contains(w.Body.String(), auth.HashKey(key)) {
		t.Error("the list shows a key")
	}
	b.expect(b.call("DELETE", "/api/v1/apps/com.x", ""), 204, "")
	if !slices.Equal(b.wearers.calls, []string{"stop  com.x"}) {
		t.Errorf("calls %v, want the deleted app stopped for everybody", b.wearers.calls)
	}
}

func TestWearers(t *testing.T) {
	b := newBench(t, Config{})
	b.wearers.list = []Wearer{{User: "z"}, {User: "a", Apps: []string{"com.x"}, Phone: true}}
	list := b.expect(b.call("GET", "/api/v1/wearers", ""), 200, "")
	all, _ := list["wearers"].([]any)
	if len(all) != 2 || at(t, all[0], "user") != "a" || at(t, all[1], "apps") == nil {
		t.Errorf("wearers %v, want both in order, no list absent", all)
	}
	one := b.expect(b.call("GET", "/api/v1/wearers/A", ""), 200, "")
	if one["phone"] != true {
		t.Errorf("wearer %v, want a with a phone", one)
	}
	out := b.expect(b.call("POST", "/api/v1/users/fixed@example.com/apps/com.fixed/start", ""), 200, "")
	if out["status"] != "started" || b.wearers.calls[0] != "start fixed@example.com com.fixed http://cloud.test:8002" {
		t.Errorf("answer %v, calls %v", out, b.wearers.calls)
	}
	b.wearers.err = &session.Refusal{Code: protocol.CodeAppNotStarted, Text: "App com.fixed could not be started: its server cannot be reached"}
	b.expect(b.call("POST", "/api/v1/users/fixed@example.com/apps/com.fixed/start", ""), 502, protocol.CodeAppNotStarted)
}

func TestPhoneStartsAndStopsApps(t *testing.T) {
	b := newBench(t, Config{})
	token, err := b.tokens.Sign("Fresh@Example.com")
	if err != nil {
		t.Fatal(err)
	}
	bearer := []string{"Authorization", "Bearer " + token}
	for _, c := range []struct{ path, want string }{
		{"/apps/com.fixed/start", `{"success":true,"data":{"status":"started","isRunning":true}}`},
		{"/api/apps/com.fixed/start", `{"success":true,"data":{"status":"started","isRunning":true}}`},
		{"/apps/com.fixed/stop", `{"success":true,"data":{"status":"stopped","isRunning":false}}`},
		{"/api/apps/com.fixed/stop", `{"success":true,"data":{"status":"stopped","isRunning":false}}`},
	} {
		w := b.call("POST", c.path, "{}", bearer...)
		if got := strings.TrimSpace(w.Body.String()); w.Code != 200 || got != c.want {
			t.Errorf("%s: %d %s, want %s", c.path, w.Code, got, c.want)
		}
	}
	if b.wearers.calls[0] != "start fresh@example.com com.fixed http://cloud.test:8002" {
		t.Errorf("calls %v", b.wearers.calls)
	}
	for name, c := range map[string]struct {
		path    string
		headers []string
		status  int
		says    string
	}{
		"no token":    {"/apps/com.fixed/start", []string{"Authorization", ""}, 401, "No core token provided"},
		"bad token":   {"/apps/com.fixed/start", []string{"Authorization", "Bearer x"}, 401, "Invalid core token"},
		"unknown app": {"/apps/com.none/start", bearer, 404, "PACKAGE_NOT_FOUND"},
	} {
		w := b.call("POST", c.path, "", c.headers...)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) || !strings.Contains(w.Body.String(), `"success":false`) {
			t.Errorf("%s: %d %s, want %d %q", name, w.Code, w.Body, c.status, c.says)
		}
	}
}

func TestPublicPermissions(t *testing.T) {
	b := newBench(t, Config{})
	w := b.call("GET", "/api/public/permissions/com.fixed", "", "Authorization", "")
	want := `{"packageName":"com.fixed","permissions":[{"type":"CAMERA","description":"","_id":"com.fixed:CAMERA"}]}`
	if got := strings.TrimSpace(w.Body.String()); w.Code != 200 || got != want {
		t.Errorf("%d %s, want %s", w.Code, got, want)
	}
}

func TestProbes(t *testing.T) {
	b := newBench(t, Config{})
	none := []string{"Authorization", ""}
	b.expect(b.call("GET", "/healthz", "", none...), 200, "")
	b.expect(b.call("GET", "/readyz", "", none...), 200, "")
	b.server.ready = false
	b.expect(b.call("GET", "/healthz", "", none...), 200, "")
	b.expect(b.call("GET", "/readyz", "", none...), 503, "")
}

func TestServerInfo(t *testing.T) {
	b := newBench(t, Config{})
	b.server.info.RTMP = Listener{Why: "rtmp.addr is empty"}
	info := b.expect(b.call("GET", "/api/v1/server", ""), 200, "")
	if at(t, info, "rtmp", "why") != "rtmp.addr is empty" || at(t, info, "http", "addr") != "127.0.0.1:8002" || info["notices"] == nil {
		t.Errorf("info %v", info)
	}
}
