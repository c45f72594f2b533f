package web

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
	"time"
)

// streams is a Streams that knows one stream.
type streams struct{ Status }

func (s streams) WatchStatus(id string) (Status, bool) { return s.Status, id == "known" }

func handler(t *testing.T) (*Handler, http.Handler) {
	t.Helper()
	started := time.Unix(1700000000, 0).UTC()
	h, err := New(streams{Status{State: "live", Viewers: 2, StartedAt: &started, Width: 1280, Height: 720, Sound: "aac"}})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /live/{playback}", h.ServePlayer)
	mux.HandleFunc("GET /live/{playback}/{$}", h.ServePlayer)
	mux.HandleFunc("GET /live/{playback}/status.json", h.ServeStatus)
	mux.HandleFunc("GET /live/{playback}/detect", h.ServeDetect)
	mux.Handle("/", h)
	return h, mux
}

func do(h http.Handler, method, url string, header ...string) (*http.Response, string) {
	r := httptest.NewRequest(method, url, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	body, _ := io.ReadAll(w.Body)
	return w.Result(), string(body)
}

func TestRoutes(t *testing.T) {
	h, mux := handler(t)
	now := "/assets/" + h.version + "/"
	for _, c := range []struct {
		method, url string
		status      int
		kind, cache string
	}{
		{"GET", "/", 200, "text/html", "no-cache"},
		{"HEAD", "/", 200, "text/html", "no-cache"},
		{"POST", "/", 405, "", ""},
		{"GET", "/live/known", 200, "text/html", "no-cache"},
		{"GET", "/live/known/", 200, "text/html", "no-cache"},
		{"GET", "/live/unknown", 404, "text/html", "no-store"},
		{"GET", "/live/known/detect", 200, "text/html", "no-cache"},
		{"GET", "/live/unknown/detect", 404, "text/html", "no-store"},
		{"GET", "/live/kn%2fown", 404, "text/html", "no-store"},
		{"GET", "/live/" + strings.Repeat("a", 129), 404, "text/html", "no-store"},
		{"GET", "/live/known/status.json", 200, "application/json", "no-store"},
		{"GET", "/live/unknown/status.json", 404, "application/json", "no-store"},
		{"GET", now + "player.js", 200, "text/javascript", "public, max-age=31536000, immutable"},
		{"GET", now + "vendor/hls.min.mjs", 200, "text/javascript", "public, max-age=31536000, immutable"},
		{"GET", now + "style.css", 200, "text/css", "public, max-age=31536000, immutable"},
		{"GET", now + "icon.svg", 200, "image/svg+xml", "public, max-age=31536000, immutable"},
		{"GET", "/assets/0123456789ab/player.js", 200, "text/javascript", "no-cache"},
		{"GET", now + "player.html", 404, "", ""},
		{"GET", now + "../embed.go", 404, "", ""},
		{"GET", now, 404, "", ""},
		{"GET", "/assets", 404, "", ""},
		{"GET", "/player.js", 404, "", ""},
		{"GET", "/nothing", 404, "", ""},
	} {
		r, body := do(mux, c.method, c.url)
		if r.StatusCode == http.StatusTemporaryRedirect || r.StatusCode == http.StatusMovedPermanently {
			r, body = do(mux, c.method, r.Header.Get("Location"))
		}
		if r.StatusCode != c.status || !strings.HasPrefix(r.Header.Get("Content-Type"), c.kind) || c.cache != "" && r.Header.Get("Cache-Control") != c.cache {
			t.Errorf("%s %s: %d %q %q", c.method, c.url, r.StatusCode, r.Header.Get("Content-Type"), r.Header.Get("Cache-Control"))
		}
		if c.status == 200 && (len(body) > 0) != (c.method == "GET") {
			t.Errorf("%s %s: %d bytes", c.method, c.url, len(body))
		}
		if c.kind != "" && r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: no nosniff", c.method, c.url)
		}
	}
}

// Pages run no inline script; the player may be embedded anywhere, the operator's
// page nowhere.
//
// B22
func TestPolicy(t *testing.T) {
	_, mux := handler(t)
	for url, ancestors := range map[string]string{"/": "'none'", "/live/known": "*", "/live/unknown": "*", "/live/known/detect": "*"} {
		r, body := do(mux, "GET", url)
		csp := r.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'self'; ") || strings.Contains(csp, "unsafe") || !strings.HasSuffix(csp, "frame-ancestors "+ancestors) {
			t.Errorf("%s: policy %q", url, csp)
		}
		if r.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: referrer policy", url)
		}
		// What the policy would block must not be in the page.
		if regexp.MustCompile(`(?i)<style|<script>|\son[a-z]+=|\sstyle=|javascript:`).MatchString(body) {
			t.Errorf("%s: inline script or style", url)
		}
	}
}

func TestETag(t *testing.T) {
	h, mux := handler(t)
	for _, url := range []string{"/", "/live/known", "/assets/" + h.version + "/player.js"} {
		r, _ := do(mux, "GET", url)
		again, body := do(mux, "GET", url, "If-None-Match", r.Header.Get("ETag"))
		if again.StatusCode != http.StatusNotModified || body != "" {
			t.Errorf("%s: %d", url, again.StatusCode)
		}
	}
}

func TestStatus(t *testing.T) {
	_, mux := handler(t)
	r, body := do(mux, "GET", "/live/known/status.json")
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"state": "live", "viewers": 2.0, "startedAt": "2023-11-14T22:13:20Z", "width": 1280.0, "height": 720.0, "sound": "aac",
	} {
		if got[name] != want {
			t.Errorf("%s: %v, want %v", name, got[name], want)
		}
	}
	now, err := time.Parse(time.RFC3339Nano, got["now"].(string))
	if err != nil || time.Since(now).Abs() > time.Minute {
		t.Errorf("now: %v, %v", got["now"], err)
	}
	if r.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error("other origins may not read it")
	}
}

var (
	outside = regexp.MustCompile(`(?i)(?:https?:|wss?:|["'(])//[a-z0-9.-]+`)
	loads   = regexp.MustCompile(`(?:(?:src|href)="` + assets + `[0-9a-f]{12}/([^"]+)"|(?:from|import)\s*\(?'\./([^']+)')`)
)

// No page and nothing it loads names another origin, and every file they name
// is there.
func TestNothingFromOutside(t *testing.T) {
	h, _ := handler(t)
	// Names, not addresses: of XML dialects, and one scheme inside hls.js.
	names := strings.NewReplacer("http://www.w3.org/", "", "https://aomedia.org/emsg/ID3", "")
	found := 0
	for name, f := range h.files {
		if path.Ext(name) == ".LICENSE" {
			continue
		}
		body := names.Replace(string(f.body))
		for _, match := range outside.FindAllString(body, -1) {
			t.Errorf("%s names %s", name, match)
		}
		if strings.HasPrefix(name, "vendor/") {
			continue
		}
		for _, m := range loads.FindAllStringSubmatch(body, -1) {
			found++
			if h.files[m[1]+m[2]] == nil {
				t.Errorf("%s loads %s, which does not exist", name, m[1]+m[2])
			}
		}
	}
	if found < 15 {
		t.Errorf("only %d references found", found)
	}
}
