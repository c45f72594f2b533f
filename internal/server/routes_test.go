package server

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// A handler that panics ends its own connection, is counted, and is logged
// without the path.
func TestPanicInHandler(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /live/{playback}", func(http.ResponseWriter, *http.Request) { panic("a fault") })
	mux.HandleFunc("GET /gone", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("GET /fine", func(http.ResponseWriter, *http.Request) {})
	var panics atomic.Uint64
	var log bytes.Buffer
	s := httptest.NewServer(recovered(mux, &panics, slog.New(slog.NewTextHandler(&log, nil))))
	defer s.Close()
	client := s.Client()
	client.Transport.(*http.Transport).DisableKeepAlives = true // on a kept connection it would try again
	for path, want := range map[string]bool{"/live/secret-playback-id": false, "/gone": false, "/fine": true} {
		resp, err := client.Get(s.URL + path)
		if (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
		if err == nil {
			_ = resp.Body.Close()
		}
	}
	s.Close() // waits for the handlers
	if panics.Load() != 1 {
		t.Errorf("%d panics counted", panics.Load())
	}
	if text := log.String(); !strings.Contains(text, "/live/{playback}") || strings.Contains(text, "secret-playback-id") {
		t.Errorf("log %s", text)
	}
}
