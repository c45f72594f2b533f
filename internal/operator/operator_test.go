package operator

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestCalls(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		switch {
		case r.Header.Get("Authorization") != "Bearer secret":
			w.WriteHeader(401)
			io.WriteString(w, `{"code":"UNAUTHORIZED","detail":"The admin token is wrong."}`)
		case r.URL.Path == "/api/v1/echo":
			w.Write(b)
		case r.URL.Path == "/api/v1/file":
			io.WriteString(w, "bytes")
		default:
			w.WriteHeader(502)
		}
	}))
	defer s.Close()
	c := Client{Server: s.URL + "/", Token: "secret"}
	var out struct{ A int }
	if err := c.Call(t.Context(), "POST", "/echo", map[string]int{"a": 7}, &out); err != nil || out.A != 7 {
		t.Errorf("%v, %v", out, err)
	}
	var file bytes.Buffer
	if err := c.Download(t.Context(), "/file", &file); err != nil || file.String() != "bytes" {
		t.Errorf("%q, %v", file.String(), err)
	}
	for _, c := range []struct {
		client Client
		says   string
	}{
		{Client{s.URL, "wrong"}, "The admin token is wrong. (UNAUTHORIZED)"},
		{Client{s.URL, "secret"}, "502"},
		{Client{"localhost:8002", "secret"}, "no address"},
		{Client{"http://127.0.0.1:1", "secret"}, "does not answer"},
	} {
		if err := c.client.Call(t.Context(), "GET", "/x", nil, nil); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, want %q", err, c.says)
		}
	}
}
