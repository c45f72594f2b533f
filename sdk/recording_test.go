package sdk

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// An app records a stream and makes clips of it by its address and its key, and
// reads why it may not.
func TestRecording(t *testing.T) {
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		user, key, _ := r.BasicAuth()
		asked = append(asked, r.Method+" "+r.URL.Path+" "+string(b)+" "+user+":"+key)
		if r.URL.Path == "/live/gone/clips" {
			w.WriteHeader(http.StatusConflict)
			io.WriteString(w, `{"code":"NOT_LIVE","detail":"The stream is not live."}`)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"id": "r1", "kind": "clip", "status": "finished", "duration": 12.5, "page": "http://x/recordings/k/"})
	}))
	defer s.Close()
	l := Live{URL: s.URL + "/live/play/", Package: "com.example", APIKey: "key", HTTPClient: s.Client()}
	clip, err := l.Clip(t.Context(), 12500*time.Millisecond)
	if err != nil || clip.ID != "r1" || clip.Duration != 12.5 || clip.Page != "http://x/recordings/k/" {
		t.Errorf("%+v, %v", clip, err)
	}
	from := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for _, call := range []func() error{
		func() error { _, err := l.ClipBetween(t.Context(), from, from.Add(time.Second)); return err },
		func() error { _, err := l.Record(t.Context()); return err },
		func() error { _, err := l.StopRecording(t.Context()); return err },
	} {
		if err := call(); err != nil {
			t.Error(err)
		}
	}
	want := []string{
		`POST /live/play/clips {"last":12.5} com.example:key`,
		`POST /live/play/clips {"from":"2026-11-28T12:00:00Z","to":"2026-11-28T12:00:01Z"} com.example:key`,
		`POST /live/play/recording {} com.example:key`,
		`DELETE /live/play/recording {} com.example:key`,
	}
	if len(asked) != len(want) {
		t.Fatalf("%q", asked)
	}
	for i := range want {
		if asked[i] != want[i] {
			t.Errorf("asked %q, want %q", asked[i], want[i])
		}
	}
	l.URL = s.URL + "/live/gone/"
	var said *Error
	if _, err := l.Clip(t.Context(), time.Second); !errors.As(err, &said) || said.Code != "NOT_LIVE" {
		t.Errorf("%v, want NOT_LIVE", err)
	}
}
