package dash

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"glimpse/internal/media/cmaf"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/viewers"
)

// Names of the MPD: Name below a stream's playback path begins a session and
// leads to the MPD in it; PublicName is the same MPD without a session, for public
// streams behind a CDN.
const (
	Name       = "index.mpd"
	PublicName = "public.mpd"
)

// firstClosed bounds the wait for a stream's first segments, as hls.Config.Wait does.
const firstClosed = 3 * time.Second

// timeQuery asks for the server's time instead of the MPD.
const timeQuery = "time"

// Stores finds the media of a run: *cmaf.Packager.
type Stores interface {
	Store(run *hub.Run) *cmaf.Store
}

// Handler answers with a stream's MPD. Safe for concurrent use.
type Handler struct {
	stores  Stores
	viewers *viewers.Viewers
}

// New returns a handler that counts its viewers.
func New(stores Stores, watching *viewers.Viewers) *Handler { return &Handler{stores, watching} }

// Handles reports whether a path below a stream's playback path is DASH's. It
// looks at its form only.
func Handles(rest string) bool { return strings.HasSuffix(rest, ".mpd") }

// ServeHTTP answers a request below a stream's playback path: rest is what follows
// /live/<playback id>/. 404 without a stream (nil), 503 while nothing can be
// played, for which it waits 3 s when the stream is live, 429 when too many wait. With
// ?time it answers with the server's time (ISO 8601), for players' clocks; with
// ?compat, and to GStreamer, with a description of whole segments for players that
// stumble over low latency.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, stream *hub.Stream, rest string) {
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Access-Control-Expose-Headers", "Location, Link, ETag, Age")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "Only GET and HEAD are possible here.", http.StatusMethodNotAllowed)
		return
	}
	session, name, ok := viewers.Split(rest)
	if stream == nil || !ok || name != Name && (name != PublicName || session != "") {
		http.Error(w, "There is no such stream.", http.StatusNotFound)
		return
	}
	if r.URL.RawQuery == timeQuery {
		header.Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, stamp(time.Now())) // the viewer may have gone
		return
	}
	w = h.viewers.See(w, r, stream, session, false)
	redirect := session == "" && name == Name
	// Only what no cache keeps depends on who asks.
	f := form{compatible: r.URL.RawQuery == query || redirect && strings.HasPrefix(r.UserAgent(), "GStreamer ")}
	body, ok := h.body(r.Context(), stream, session, f, !redirect)
	switch {
	case !ok:
		header.Set("Retry-After", "1")
		http.Error(w, "Too many requests of this viewer are waiting already.", http.StatusTooManyRequests)
		return
	case body == nil:
		header.Set("Retry-After", "1")
		http.Error(w, "The stream is not live now.", http.StatusServiceUnavailable)
		return
	case redirect:
		header.Set("Location", "~"+h.viewers.Again(r, stream, viewers.DASH)+"/"+Name+f.query()) // relative: whatever stands before
		status := http.StatusTemporaryRedirect
		if f.compatible {
			status = http.StatusMovedPermanently // for this viewer: GStreamer asks here again and again after any other
		}
		w.WriteHeader(status)
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
// is cut last; nil when there is none within firstClosed. patient waits for sound
// that has to be converted first, also when there is some that would do. ok is false
// when too many requests of the session wait already.
func (h *Handler) body(ctx context.Context, stream *hub.Stream, session string, f form, patient bool) (body []byte, ok bool) {
	store := h.stores.Store(stream.Run())
	if store == nil {
		return nil, true
	}
	made := func() []byte {
		made := store.Audio().Snapshot().Derive(f, func(*cmaf.Snapshot) any { return mpd(store, f, time.Now()) })
		body, _ := made.([]byte)
		return body
	}
	if store.Expect(); !patient {
		if body := made(); body != nil {
			return body, true
		}
	}
	store.Watch(ctx)
	if body := made(); body != nil {
		return body, true
	}
	// A stream that has just begun: players give up where they are refused.
	release, ok := h.viewers.Block(stream, session)
	if !ok {
		return nil, false
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, firstClosed)
	defer cancel()
	_ = store.Closed(ctx, 1) // what is there by then will do
	return made(), true
}
