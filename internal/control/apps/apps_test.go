package apps

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"glimpse/internal/control/store"
	"glimpse/internal/outbound"
	"glimpse/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testNow = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, backend store.Backend, log io.Writer, configured ...Spec) *Registry {
	t.Helper()
	r, err := New(t.Context(), backend, configured, func() time.Time { return testNow }, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRegistry(t *testing.T) {
	ctx := t.Context()
	backend := store.NewMemory()
	defer backend.Close()
	configured := Spec{Package: "com.fixed", APIKey: "fixed-key", URL: "http://127.0.0.1:1/", Permissions: []string{"CAMERA"}}
	r := open(t, backend, io.Discard, configured)

	app, key, err := r.Create(ctx, Spec{Package: "com.made", URL: "https://x.test/base/", Permissions: []string{"ALL"}})
	if err != nil {
		t.Fatal(err)
	}
	if app.URL != "https://x.test/base" || !app.Allowed("CAMERA") || !app.Created.Equal(testNow) || app.FromConfig {
		t.Errorf("made %+v", app)
	}
	fixed, ok := r.App("com.fixed")
	if !ok || !fixed.FromConfig || !fixed.Allowed("CAMERA") || fixed.Allowed("MICROPHONE") || fixed.URL != "http://127.0.0.1:1" {
		t.Errorf("configured %+v, %v", fixed, ok)
	}
	for _, c := range []struct {
		pkg, key string
		want     bool
	}{
		{"com.made", key, true}, {"com.made", key + "x", false}, {"com.made", "", false}, {"com.fixed", "fixed-key", true},
		{"com.fixed", key, false}, {"com.none", key, false}, {"com.none", "", false}, {"", "", false},
	} {
		if r.CheckKey(c.pkg, c.key) != c.want {
			t.Errorf("CheckKey(%q) = %v, want %v", c.pkg, !c.want, c.want)
		}
	}
	for name, c := range map[string]struct {
		spec Spec
		want error
	}{
		"twice":      {Spec{Package: "com.made", URL: "http://x.test"}, ErrExists},
		"in config":  {Spec{Package: "com.fixed", URL: "http://x.test"}, ErrConfig},
		"bad name":   {Spec{Package: "com/x", URL: "http://x.test"}, ErrInvalid},
		"bad url":    {Spec{Package: "com.x", URL: "file:///etc/passwd"}, ErrInvalid},
		"bad key":    {Spec{Package: "com.x", URL: "http://x.test", APIKey: "with space"}, ErrInvalid},
		"short key":  {Spec{Package: "com.x", URL: "http://x.test", APIKey: "1234567"}, ErrInvalid},
		"permission": {Spec{Package: "com.x", URL: "http://x.test", Permissions: []string{"CAMERA", "CAMERA"}}, ErrInvalid},
	} {
		if _, _, err := r.Create(ctx, c.spec); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if err := r.Delete(ctx, "com.fixed"); !errors.Is(err, ErrConfig) {
		t.Errorf("delete of a configured app = %v", err)
	}

	r = open(t, backend, io.Discard) // a restart, with the app gone from the file
	if list := r.List(); len(list) != 1 || list[0].Package != "com.made" || !r.CheckKey("com.made", key) {
		t.Errorf("after a restart: %+v", list)
	}
	if err := r.Delete(ctx, "com.made"); err != nil {
		t.Fatal(err)
	}
	if err := r.Delete(ctx, "com.made"); !errors.Is(err, ErrUnknown) {
		t.Errorf("delete twice = %v", err)
	}
	if list := open(t, backend, io.Discard).List(); len(list) != 0 {
		t.Errorf("after the delete: %+v", list)
	}
}

func TestConfigWinsWithAWarning(t *testing.T) {
	backend := store.NewMemory()
	defer backend.Close()
	if _, _, err := open(t, backend, io.Discard).Create(t.Context(), Spec{Package: "com.both", APIKey: "stored-key", URL: "http://stored.test"}); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	r := open(t, backend, &log, Spec{Package: "com.both", APIKey: "config-key", URL: "http://config.test"})
	if app, _ := r.App("com.both"); app.URL != "http://config.test" || !r.CheckKey("com.both", "config-key") || r.CheckKey("com.both", "stored-key") {
		t.Errorf("app %+v, want the configured one", app)
	}
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "com.both") || strings.Contains(log.String(), "-key") {
		t.Errorf("log %q, want a warning that names the app and no key", log.String())
	}
}

func TestKeysAreStoredHashed(t *testing.T) {
	backend := store.NewMemory()
	defer backend.Close()
	_, key, err := open(t, backend, io.Discard).Create(t.Context(), Spec{Package: "com.x", URL: "http://x.test"})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := backend.Bucket(t.Context(), "apps")
	if err != nil {
		t.Fatal(err)
	}
	values, err := raw.All(t.Context())
	if err != nil || len(values) != 1 {
		t.Fatal(values, err)
	}
	for _, v := range values {
		if bytes.Contains(v, []byte(key)) {
			t.Errorf("the key lies in the store: %s", v)
		}
	}
}

// appServer answers webhooks with handler and returns its app.
func appServer(t *testing.T, fromConfig bool, handler http.HandlerFunc) App {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return App{Package: "com.x", URL: s.URL, FromConfig: fromConfig}
}

func TestWebhookBodies(t *testing.T) {
	var got []string
	app := appServer(t, true, func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s with %q", r.Method, r.Header.Get("Content-Type"))
		}
		got = append(got, r.URL.Path+" "+body["type"].(string)+" "+body["sessionId"].(string))
		w.Write([]byte(`{"status":"success"}`))
	})
	w := NewWebhooks(false)
	if err := w.Start(t.Context(), app, protocol.SessionRequest{Type: protocol.WebhookSession, SessionID: "u-com.x"}); err != nil {
		t.Fatal(err)
	}
	if err := w.Stop(t.Context(), app, protocol.StopRequest{Type: protocol.WebhookStop, SessionID: "u-com.x"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/webhook session_request u-com.x", "/webhook stop_request u-com.x"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestWebhookRefusals(t *testing.T) {
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	elsewhere := 0
	cases := map[string]struct {
		handler http.HandlerFunc
		status  int
		message string
	}{
		"500 of an SDK": {answer(500, `{"status":"error","message":"Failed to connect"}`), 500, "Failed to connect"},
		"400":           {answer(400, `no JSON`), 400, ""},
		"redirect":      {answer(307, ``), 307, ""},
		"long message":  {answer(500, `{"message":"`+strings.Repeat("x", 1000)+`"}`), 500, strings.Repeat("x", maxMessage) + "…"},
		"lines in it":   {answer(500, `{"message":"a\nlevel=ERROR b"}`), 500, "alevel=ERROR b"},
		"endless answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			io.Copy(w, io.LimitReader(endless{}, 10<<20))
		}, 500, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			app := appServer(t, true, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/webhook" {
					elsewhere++
				}
				c.handler(w, r)
			})
			err := NewWebhooks(false).Start(t.Context(), app, protocol.SessionRequest{})
			var said *WebhookError
			if !errors.As(err, &said) || said.Status != c.status || said.Message != c.message || errors.Is(err, ErrUnreachable) {
				t.Errorf("error %v, want status %d and %q", err, c.status, c.message)
			}
		})
	}
	if elsewhere > 0 {
		t.Error("a redirect was followed")
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestPrivateAddressesAreRefused(t *testing.T) {
	called := 0
	handler := func(http.ResponseWriter, *http.Request) { called++ }
	private := appServer(t, false, handler)
	byName := private
	byName.URL = strings.Replace(private.URL, "127.0.0.1", "localhost", 1)
	for name, app := range map[string]App{"address": private, "name that resolves to it": byName} {
		err := NewWebhooks(false).Start(t.Context(), app, protocol.SessionRequest{})
		if !errors.Is(err, outbound.ErrPrivate) || errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: %v, want outbound.ErrPrivate", name, err)
		}
	}
	if called != 0 {
		t.Fatal("a private address was called")
	}
	if err := NewWebhooks(true).Start(t.Context(), private, protocol.SessionRequest{}); err != nil {
		t.Errorf("with outbound.allow_private: %v", err)
	}
	private.FromConfig = true
	if err := NewWebhooks(false).Start(t.Context(), private, protocol.SessionRequest{}); err != nil {
		t.Errorf("URL of the configuration file: %v", err)
	}
	if called != 2 {
		t.Errorf("called %d times, want 2", called)
	}
}

// The proxy of the environment is read once per process, so its use cannot be
// provoked here.
func TestProxiesAreNotUsed(t *testing.T) {
	w := NewWebhooks(false)
	for _, c := range []http.Client{w.trusted, w.guarded} {
		if transport, ok := c.Transport.(*http.Transport); !ok || transport.Proxy != nil {
			t.Errorf("transport %+v may use a proxy, which would dial out of our sight", c.Transport)
		}
	}
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	app := App{URL: "http://" + l.Addr().String(), FromConfig: true}
	l.Close()
	err = NewWebhooks(false).Start(t.Context(), app, protocol.SessionRequest{})
	if !errors.Is(err, ErrUnreachable) {
		t.Errorf("connection refused: %v, want ErrUnreachable", err)
	}

	// A server that took the request and hung up may have read it.
	app = appServer(t, true, func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	if err := NewWebhooks(false).Start(t.Context(), app, protocol.SessionRequest{}); err == nil || errors.Is(err, ErrUnreachable) {
		t.Errorf("hung up: %v, want another error", err)
	}
}

func TestWebhookHearsItsContext(t *testing.T) {
	release := make(chan struct{})
	app := appServer(t, true, func(_ http.ResponseWriter, r *http.Request) { <-release })
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := NewWebhooks(false).Start(ctx, app, protocol.SessionRequest{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the context's", err)
	}
}

// What an app's server says reaches logs and wearers as printable text of a bounded
// length.
func FuzzAnswerText(f *testing.F) {
	f.Add([]byte(`{"message":"no such user"}`))
	f.Add([]byte(`{"message":"\u202e\u0000\n"}`))
	f.Add([]byte(`{"message":{}}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		text := answerText(answer)
		if n := utf8.RuneCountInString(text); n > maxMessage+1 || !utf8.ValidString(text) {
			t.Errorf("%d characters: %q", n, text)
		}
		if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q", text)
		}
	})
}
