package dash

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"glimpse/internal/media/cmaf"
	"glimpse/internal/media/hub"
)

// Name of the MPD below a stream's playback path.
const Name = "index.mpd"

// timeQuery asks for the server's time instead of the MPD.
const timeQuery = "time"

// Stores finds the media of a run: *cmaf.Packager.
type Stores interface {
	Store(run *hub.Run) *cmaf.Store
}

// Handler answers with a stream's MPD. Safe for concurrent use.
type Handler struct{ stores Stores }

// New returns a handler.
func New(stores Stores) *Handler { return &Handler{stores} }

// ServeHTTP answers GET /live/<playback id>/index.mpd for a stream (nil when the
// id is unknown): 404 without a stream, 503 while nothing can be played. With
// ?time it answers with the server's time (ISO 8601), for players' clocks.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, stream *hub.Stream) {
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "Only GET and HEAD are possible here.", http.StatusMethodNotAllowed)
		return
	}
	if stream == nil {
		header.Set("Cache-Control", "no-store")
		http.Error(w, "There is no such stream.", http.StatusNotFound)
		return
	}
	if r.URL.RawQuery == timeQuery {
		header.Set("Content-Type", "text/plain; charset=utf-8")
		header.Set("Cache-Control", "no-store")
		_, _ = io.WriteString(w, stamp(time.Now())) // the viewer may have gone
		return
	}
	body := h.body(r.Context(), stream)
	if body == nil {
		header.Set("Cache-Control", "no-store")
		header.Set("Retry-After", "1")
		http.Error(w, "The stream is not live now.", http.StatusServiceUnavailable)
		return
	}
	header.Set("Content-Type", "application/dash+xml")
	header.Set("Cache-Control", "public, max-age=1")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // the viewer may have gone
	}
}

// body is the MPD of a stream's run, made once per change of its sound, which
// is cut last.
func (h *Handler) body(ctx context.Context, stream *hub.Stream) []byte {
	store := h.stores.Store(stream.Run())
	if store == nil {
		return nil
	}
	store.Watch(ctx)
	made := store.Audio().Snapshot().Derive(Name, func(*cmaf.Snapshot) any { return mpd(store, time.Now()) })
	body, _ := made.([]byte)
	return body
}
