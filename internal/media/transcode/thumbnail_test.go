package transcode

import (
	"bytes"
	"errors"
	"image/jpeg"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"glimpse/internal/media/hub"
)

func get(tc *Transcoder, s *hub.Stream) *http.Response {
	w := httptest.NewRecorder()
	tc.ServeThumbnail(w, httptest.NewRequest(http.MethodGet, "/live/p/thumbnail.jpg", nil), s, nil)
	return w.Result()
}

// Many askers share one child per key frame; the picture is a JPEG of the
// stream's own shape.
//
// B23
func TestThumbnailIsShared(t *testing.T) {
	count := t.TempDir() + "/count"
	tc := newTranscoder(t, Config{Path: script(t, `echo x >>"`+count+`"; exec ffmpeg "$@"`)})
	s, p := stream(t, nil)
	publish(t, p, signal(t, "48000", "1"))
	var askers sync.WaitGroup
	for range 20 {
		askers.Go(func() {
			r := get(tc, s)
			body, _ := io.ReadAll(r.Body)
			img, err := jpeg.Decode(bytes.NewReader(body))
			if err != nil {
				t.Errorf("status %d: %v: %.80s", r.StatusCode, err, body)
				return
			}
			if b := img.Bounds(); b.Dx() != 320 || b.Dy() != 240 {
				t.Errorf("picture is %v", b)
			}
			for name, want := range map[string]string{
				"Content-Type": "image/jpeg", "Cache-Control": "public, max-age=2",
				"Access-Control-Allow-Origin": "*", "X-Content-Type-Options": "nosniff",
			} {
				if got := r.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
	askers.Wait()
	if b, _ := os.ReadFile(count); len(b) != 2 {
		t.Errorf("%d children", len(b)/2)
	}
	_, at, err := tc.Thumbnail(t.Context(), s.Run())
	if err != nil || !at.Equal(s.Run().KeyFrame().Wall) {
		t.Errorf("wall clock %v, %v", at, err)
	}
}

// Who has the picture gets no second copy, HEAD gets none at all, and a stream that
// is over shows its poster.
func TestThumbnailCaching(t *testing.T) {
	tc := newTranscoder(t, Config{})
	s, p := stream(t, nil)
	ask := func(method, tag string, s *hub.Stream, poster Poster) *http.Response {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(method, "/live/p/thumbnail.jpg", nil)
		r.Header.Set("If-None-Match", tag)
		tc.ServeThumbnail(w, r, s, poster)
		return w.Result()
	}
	at := time.Date(2026, 11, 28, 1, 2, 3, 0, time.UTC)
	kept := func() ([]byte, time.Time, bool) { return []byte("poster"), at, true }
	r := ask(http.MethodGet, "", s, kept)
	body, _ := io.ReadAll(r.Body)
	if string(body) != "poster" || r.Header.Get("Cache-Control") != "public, max-age=60" || r.Header.Get("Last-Modified") != "Sat, 28 Nov 2026 01:02:03 GMT" {
		t.Errorf("before it is live: %q %v", body, r.Header)
	}
	if r := ask(http.MethodGet, "", nil, func() ([]byte, time.Time, bool) { return nil, at, false }); r.StatusCode != http.StatusNotFound {
		t.Errorf("without a poster: %d", r.StatusCode)
	}
	publish(t, p, signal(t, "48000", "1"))
	head := ask(http.MethodHead, "", s, kept)
	body, _ = io.ReadAll(head.Body)
	tag := head.Header.Get("ETag")
	if head.StatusCode != http.StatusOK || len(body) != 0 || head.ContentLength < 1000 || tag == "" || tag == r.Header.Get("ETag") {
		t.Errorf("HEAD: %d, %d bytes, %v", head.StatusCode, len(body), head.Header)
	}
	if r := ask(http.MethodGet, tag, s, kept); r.StatusCode != http.StatusNotModified {
		t.Errorf("who has it: %d", r.StatusCode)
	}
	if r := ask(http.MethodPost, "", s, kept); r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d %v", r.StatusCode, r.Header)
	}
}

func TestThumbnailRefusals(t *testing.T) {
	frames := signal(t, "48000", "1")
	ok := newTranscoder(t, Config{})
	if r := get(ok, nil); r.StatusCode != http.StatusNotFound || r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("unknown stream: %d %v", r.StatusCode, r.Header)
	}
	s, p := stream(t, nil)
	if r := get(ok, s); r.StatusCode != http.StatusNotFound {
		t.Errorf("idle stream: %d", r.StatusCode)
	}
	publish(t, p, frames)
	for name, c := range map[string]struct{ path, says string }{
		"missing":  {"/nonexistent/ffmpeg", ErrMissing.Error()},
		"crash":    {script(t, "exit 1"), "could not be made"},
		"nonsense": {script(t, "echo hello"), "could not be made"},
		"huge":     {script(t, "exec yes"), "could not be made"},
	} {
		tc := newTranscoder(t, Config{Path: c.path})
		r := get(tc, s)
		body, _ := io.ReadAll(r.Body)
		if r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), c.says) {
			t.Errorf("%s: %d %s", name, r.StatusCode, body)
		}
		if strings.Contains(string(body), "nonexistent") {
			t.Errorf("%s: shows a path: %s", name, body)
		}
		if n := tc.Stats().Children; n != 0 {
			t.Errorf("%s: %d children left", name, n)
		}
	}
}

// Close does not wait for a child that hangs, and who waits is told.
func TestCloseEndsThumbnail(t *testing.T) {
	started := t.TempDir() + "/pid"
	tc := newTranscoder(t, Config{Path: script(t, `echo $$ >"`+started+`"; exec sleep 60`)})
	s, p := stream(t, nil)
	publish(t, p, signal(t, "48000", "1"))
	done := make(chan error, 1)
	go func() {
		_, _, err := tc.Thumbnail(t.Context(), s.Run())
		done <- err
	}()
	pidOf(t, started, 1)
	begun := time.Now()
	tc.Close()
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if d := time.Since(begun); d > time.Second {
		t.Errorf("Close took %v", d)
	}
}
