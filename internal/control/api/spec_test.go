package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

func TestOpenAPI(t *testing.T) {
	b := newBench(t, Config{})
	w := b.call("GET", "/api/v1/openapi.json", "", "Authorization", "")
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	var doc struct {
		OpenAPI    string                     `json:"openapi"`
		Paths      map[string]map[string]any  `json:"paths"`
		Components map[string]json.RawMessage `json:"components"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("openapi %q, want 3.1", doc.OpenAPI)
	}
	if !bytes.Contains(doc.Components["schemas"], []byte(`"code"`)) {
		t.Error("problems are described without their code")
	}
	var out bytes.Buffer
	if err := json.Indent(&out, w.Body.Bytes(), "", " "); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/openapi.json"
	if *update {
		if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, out.Bytes()) {
		t.Error("the description of the API has changed; if that is wanted, run go test -update and look at the difference")
	}
}

func TestNoOutsideScripts(t *testing.T) {
	b := newBench(t, Config{})
	for _, path := range []string{"/docs", "/api/v1/docs", "/schemas/x.json", "/openapi.json"} {
		if w := b.call("GET", path, ""); w.Code != http.StatusNotFound {
			t.Errorf("%s answers %d", path, w.Code)
		}
	}
}

func TestHosts(t *testing.T) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	h := Headers(Hosts(ok, OurNames("https://cloud.example.com:8443", []string{"media.example.com"})))
	own, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]int{
		"127.0.0.1:8002": 204, "[::1]:8002": 204, "192.168.1.7": 204, "localhost:8002": 204, "glimpse:8002": 204,
		"x.localhost": 204, "CLOUD.example.com": 204, "cloud.example.com.": 204, "media.example.com:1": 204,
		own: 204, own + ".local:8002": 204,
		"evil.example.com": 421, "cloud.example.com.evil.net": 421, "1.2.3.4.evil.net:8002": 421, "": 421, "localhost.evil.net": 421,
	}
	for host, want := range cases {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("host %q: %d, want %d", host, w.Code, want)
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("host %q: no nosniff", host)
		}
	}
}

// FuzzBodies sends strangers' bytes to every call that reads a body: the answer
// is never a server error and always JSON or nothing.
func FuzzBodies(f *testing.F) {
	for _, seed := range []string{`{}`, `{"name":"x","resume_window":3}`, `{"record":{"a":[[[[1]]]]}}`, `{"id":"a@b.c"}`,
		`{"package":"com.x","url":"http://[::1]:1/","permissions":["ALL"],"api_key":"12345678"}`, `{"token":"\u0000"}`, `[`, `null`, `"x"`,
		strings.Repeat("[", 2000), `{"resume_window":1e99}`, `{"name":"` + strings.Repeat("é", 200) + `"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		b := newBench(t, Config{})
		for _, path := range []string{"/api/v1/streams", "/api/v1/users", "/api/v1/apps", "/api/v1/login"} {
			w := b.call("POST", path, string(body))
			if w.Code >= 500 {
				t.Errorf("%s: %d %s", path, w.Code, w.Body)
			}
			if w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
				t.Errorf("%s: answer is no JSON: %s", path, w.Body)
			}
		}
	})
}
