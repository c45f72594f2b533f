package hls

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"glimpse/internal/media/cmaf"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/viewers"
)

// Stores finds the media of a run: *cmaf.Packager.
type Stores interface {
	Store(run *hub.Run) *cmaf.Store
}

// Config of a handler. Zero fields take the defaults.
type Config struct {
	// Wait is how long a request for media to come is held; default 3 s, less
	// than hls.js's limit for a blocking reload.
	Wait time.Duration
	// MaxAge is how long caches may keep what does not change; default 60 s,
	// the store's window.
	MaxAge time.Duration
}

// numbered is the Cache-Control of a list that was asked for by number: shared by
// those who ask at the same time. RFC 8216bis B.1 advises a minute more, but
// Video.js asks for the last part of a segment again until it sees the next one,
// and a cache that answers with the same list ends its playback.
const numbered = "public, max-age=0, s-maxage=1"

// Handler answers for the HLS of all streams. Safe for concurrent use.
type Handler struct {
	stores    Stores
	wait      time.Duration
	immutable string // Cache-Control of media
	viewers   *viewers.Viewers
}

// New returns a handler that counts its viewers.
func New(stores Stores, watching *viewers.Viewers, cfg Config) *Handler {
	if cfg.Wait == 0 {
		cfg.Wait = 3 * time.Second
	}
	if cfg.MaxAge == 0 {
		cfg.MaxAge = time.Minute
	}
	immutable := "public, max-age=" + strconv.Itoa(int(cfg.MaxAge/time.Second)) + ", immutable"
	return &Handler{stores: stores, wait: cfg.Wait, immutable: immutable, viewers: watching}
}

// Handles reports whether a path below a stream's playback path is HLS's. It
// looks at its form only.
func Handles(rest string) bool {
	return strings.HasPrefix(rest, "~") || strings.HasSuffix(rest, ".m3u8") ||
		strings.HasSuffix(rest, ".m4s") || strings.HasSuffix(rest, ".mp4")
}

// Whole reports whether ServeHTTP answers a GET at once with bytes that exist by
// then: a media playlist, or a file that does not grow while it is sent. It may
// wait before it answers, as long as held playlists do (Config.Wait).
func (h *Handler) Whole(stream *hub.Stream, rest string) bool {
	_, name, ok := viewers.Split(rest)
	if !ok {
		return false
	}
	store := h.stores.Store(stream.Run())
	if store == nil {
		return false
	}
	if name == videoName || name == audioName {
		return true
	}
	f, ok := store.ParseName(name)
	return ok && (f.Kind != cmaf.FileSegment || f.Number < f.Rendition.Snapshot().NextNumber)
}

// ServeHTTP answers a request below a stream's playback path: rest is what
// follows /live/<playback id>/, unescaped, without a leading slash. A nil stream
// is one that nobody knows.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, stream *hub.Stream, rest string) {
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Access-Control-Expose-Headers", "Location, Link, ETag, Age")
	header.Set("X-Content-Type-Options", "nosniff")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		header.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
		header.Set("Access-Control-Allow-Headers", "Range, If-None-Match")
		header.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		header.Set("Allow", "GET, HEAD, OPTIONS")
		fail(w, http.StatusMethodNotAllowed, "Only GET and HEAD are possible here.")
		return
	}
	session, name, ok := viewers.Split(rest)
	if stream == nil || !ok {
		fail(w, http.StatusNotFound, "There is no such stream.")
		return
	}
	store := h.stores.Store(stream.Run())
	if store == nil {
		header.Set("Retry-After", "1")
		fail(w, http.StatusServiceUnavailable, "The stream is not live now.")
		return
	}
	// Pictures do not wait for sound: players prepare themselves meanwhile.
	if name == audioName {
		store.Watch(r.Context())
	} else {
		store.Expect()
	}
	v := viewer{h: h, stream: stream, session: session, store: store}
	rendition, isMedia := v.media(name)
	switch {
	case name == multivariantName && session == "":
		v.multivariant(w, r)
	case isMedia:
		v.playlist(h.viewers.See(w, r, stream, session, true), r, rendition)
	default:
		file, ok := store.ParseName(name)
		if !ok {
			fail(w, http.StatusNotFound, "There is no such file.")
			return
		}
		v.file(h.viewers.See(w, r, stream, session, true), r, name, file)
	}
}

// viewer is one request's context.
type viewer struct {
	h       *Handler
	stream  *hub.Stream
	session string
	store   *cmaf.Store
}

func (v *viewer) media(name string) (rendition, bool) {
	switch name {
	case videoName:
		return rendition{v.store.Video(), v.store.Audio(), audioName}, true
	case audioName:
		return rendition{v.store.Audio(), v.store.Video(), videoName}, true
	}
	return rendition{}, false
}

// await waits for part of segment number. It answers the request itself and
// returns nil when that cannot be; late is true when the time ran out.
func (v *viewer) await(w http.ResponseWriter, r *http.Request, rd *cmaf.Rendition, number uint64, part int) (s *cmaf.Snapshot, late bool) {
	if s = rd.Snapshot(); s.Has(number, part) {
		return s, false
	}
	release, ok := v.h.viewers.Block(v.stream, v.session)
	if !ok {
		tooMany(w)
		return nil, false
	}
	defer release()
	ctx, cancel := context.WithTimeout(r.Context(), v.h.wait)
	defer cancel()
	s, err := rd.Wait(ctx, number, part)
	switch {
	case err == nil:
		return s, false
	case errors.Is(err, context.DeadlineExceeded):
		return s, true
	case errors.Is(err, cmaf.ErrEnded):
		fail(w, http.StatusNotFound, "The stream is not live any more.")
	}
	return nil, false // the viewer has gone
}

// multivariant answers with a playlist of the viewer's own.
func (v *viewer) multivariant(w http.ResponseWriter, r *http.Request) {
	select {
	case <-v.store.Ready():
	default:
		// A first key frame is due at once.
		if s, late := v.await(w, r, v.store.Audio(), 0, 0); s == nil || late {
			if late {
				unavailable(w)
			}
			return
		}
	}
	back, err := rewind(r.URL.Query().Get("t"))
	if err != nil {
		fail(w, http.StatusBadRequest, "Bad playlist request: "+err.Error()+".")
		return
	}
	v.closed(r)
	body := multivariant(v.store, viewers.Name(viewers.HLS), back)
	w.Header().Set("Cache-Control", "no-store")
	send(w, r, listType, body)
}

func tooMany(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	fail(w, http.StatusTooManyRequests, "Too many requests of this viewer are waiting already.")
}

func unavailable(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	fail(w, http.StatusServiceUnavailable, "The stream has no picture yet.")
}

const listType = "application/vnd.apple.mpegurl"

// playlist answers with a media playlist, held back when it is asked to be.
func (v *viewer) playlist(w http.ResponseWriter, r *http.Request, rd rendition) {
	at, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		fail(w, http.StatusBadRequest, "Bad playlist request: "+err.Error()+".")
		return
	}
	snapshot := rd.Snapshot()
	cache := "public, max-age=1"
	switch {
	case at.asked && len(snapshot.Segments) > 0:
		if at.number > snapshot.Segments[len(snapshot.Segments)-1].Number+2 {
			fail(w, http.StatusBadRequest, "Bad playlist request: _HLS_msn is too far ahead.")
			return
		}
		late := false
		if snapshot, late = v.await(w, r, rd.Rendition, at.number, at.part); snapshot == nil {
			return
		}
		cache = numbered
		if late {
			cache = "no-store" // it is not the list that was asked for
		}
	case len(snapshot.Segments) == 0:
		late := false
		if snapshot, late = v.await(w, r, rd.Rendition, 0, 0); snapshot == nil {
			return
		}
		if late {
			unavailable(w)
			return
		}
	}
	l := listOf(rd, snapshot)
	header := w.Header()
	header.Set("Cache-Control", cache)
	header.Set("Vary", "Accept-Encoding")
	body := l.plain
	if acceptsGzip(r) {
		header.Set("Content-Encoding", "gzip")
		body = l.compressed()
	}
	send(w, r, listType, body)
}

// acceptsGzip reports whether a request accepts gzip. A client that refuses it
// by q=0 does not name it at all in practice.
func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if name == "gzip" {
			return strings.TrimSpace(q) != "q=0"
		}
	}
	return false
}

// file answers with an init, a segment or a part; what comes next is waited for.
func (v *viewer) file(w http.ResponseWriter, r *http.Request, name string, f cmaf.File) {
	header := w.Header()
	mime := "video/mp4"
	if f.Rendition == v.store.Audio() {
		mime = "audio/mp4"
		if f.Kind != cmaf.FileInit {
			v.store.RecallSegment(r.Context(), f.Number)
		}
	}
	s := f.Rendition.Snapshot()
	if f.Kind == cmaf.FileSegment && f.Number == s.NextNumber {
		header.Set("Cache-Control", v.h.immutable)
		header.Set("Content-Type", mime)
		v.grow(w, r, f)
		return
	}
	if f.Kind == cmaf.FilePart && f.Number == s.NextNumber && f.Part == s.NextPart {
		late := false
		if s, late = v.await(w, r, f.Rendition, f.Number, f.Part); s == nil {
			return
		}
		if late {
			unavailable(w)
			return
		}
	}
	parts := pick(s, f)
	if parts == nil {
		fail(w, http.StatusNotFound, "This file is not here any more, or not yet.")
		return
	}
	header.Set("Cache-Control", v.h.immutable)
	header.Set("ETag", `"`+name+`"`)
	send(w, r, mime, parts...)
}

// pick returns the slices that make a file, nil when it is not there.
func pick(s *cmaf.Snapshot, f cmaf.File) [][]byte {
	if f.Kind == cmaf.FileInit {
		if init := s.Init(int(f.Number)); init != nil {
			return [][]byte{init.Bytes}
		}
		return nil
	}
	seg := s.Segment(f.Number)
	switch {
	case seg == nil:
		return nil
	case f.Kind == cmaf.FilePart:
		if f.Part >= len(seg.Parts) {
			return nil
		}
		return [][]byte{seg.Parts[f.Part].Bytes()}
	case !seg.Closed:
		return nil
	}
	parts := make([][]byte, len(seg.Parts))
	for i, p := range seg.Parts {
		parts[i] = p.Bytes()
	}
	return parts
}

// send writes a body that lies in slices. Headers other than its type and
// length are set already.
func send(w http.ResponseWriter, r *http.Request, mime string, body ...[]byte) {
	header := w.Header()
	header.Set("Content-Type", mime)
	out := newPatience(w, r)
	defer out.over()
	if header.Get("ETag") != "" && (r.Header.Get("Range") != "" || r.Header.Get("If-None-Match") != "") {
		http.ServeContent(w, r, "", time.Time{}, newReader(body))
		return
	}
	size := 0
	for _, b := range body {
		size += len(b)
	}
	header.Set("Content-Length", strconv.Itoa(size))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	for _, b := range body {
		if out.write(b) != nil {
			return // the viewer has gone
		}
	}
}

// fail answers with a sentence that no cache keeps.
func fail(w http.ResponseWriter, status int, sentence string) {
	header := w.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, sentence+"\n")
}
