package api

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"glimpse/internal/control/tap"
)

// A tap streams lines until the bus closes, for the operator only.
func TestTap(t *testing.T) {
	b := newBench(t, Config{})
	server := httptest.NewServer(b.mux)
	defer server.Close()
	open := func(path, token string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	const path = "/api/v1/wearers/A%40b.c/tap"
	if res := open(path, "wrong"); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a stranger gets %d", res.StatusCode)
	}
	if res := open("/api/v1/wearers/a%20b/tap", adminToken); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a name that is none gets %d", res.StatusCode)
	}
	res := open(path, adminToken)
	if got := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || got != "application/x-ndjson" {
		t.Fatalf("%d %s", res.StatusCode, got)
	}
	lines := bufio.NewScanner(res.Body)
	if !lines.Scan() || lines.Text() != "" { // the tap is open now
		t.Fatalf("begins with %q", lines.Text())
	}
	for range tap.MaxTaps - 1 {
		if res := open(path, adminToken); res.StatusCode != http.StatusOK {
			t.Errorf("another one gets %d", res.StatusCode)
		}
	}
	if res := open(path, adminToken); res.StatusCode != http.StatusConflict {
		t.Errorf("one too many gets %d", res.StatusCode)
	}
	b.deps.Taps.Report("a@b.c", tap.Event{Kind: tap.Message, From: tap.App, To: tap.Cloud, Package: "com.x"},
		[]byte(`{"type":"tpa_connection_init","apiKey":"secret"}`))
	var e tap.Event
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &e) != nil || e.Type != "tpa_connection_init" || string(e.Body) != `{"apiKey":"…"}` {
		t.Errorf("got %s", lines.Bytes())
	}
	b.deps.Taps.Close()
	if lines.Scan() {
		t.Errorf("more: %s", lines.Text())
	}
	if res := open(path, adminToken); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("while the server drains: %d", res.StatusCode)
	}
}
