package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// Refusals say what to do next.
func TestRefusalsTeach(t *testing.T) {
	b := newBench(t, Config{})
	for _, c := range []struct {
		method, path, body, header string
		status                     int
		words                      string
	}{
		{"GET", "/api/v1/streams", "", "Authorization", http.StatusUnauthorized, "file of that name in the data folder"},
		{"POST", "/api/v1/streams", `{"name":3}`, "X-None", http.StatusUnprocessableEntity, "The request is not valid: body.name: expected string."},
		{"POST", "/api/v1/apps", `{}`, "X-None", http.StatusUnprocessableEntity, "expected required property package"},
		{"PUT", "/api/v1/streams", `{}`, "X-None", http.StatusNotFound, "GET /api/v1/openapi.json"},
	} {
		w := b.call(c.method, c.path, c.body, c.header, "")
		var p Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		if w.Code != c.status || !strings.Contains(p.Detail, c.words) {
			t.Errorf("%s %s: %d %q, want %d with %q", c.method, c.path, w.Code, p.Detail, c.status, c.words)
		}
	}
}
