package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strings"
	"time"

	"glimpse/web"
)

// policy is the pages' content security policy: everything from us, media also
// from the buffers that hls.js fills. There is no inline script or style.
const policy = "default-src 'self'; media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors "

// placeholder stands in the pages for the versioned folder of what they load.
const (
	assets      = "/assets/"
	placeholder = assets + "dev/"
)

// validID is what playback ids look like; nothing else is looked up.
var validID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// Handler serves the pages. Make it with New; safe for concurrent use.
type Handler struct {
	streams Streams
	version string           // of all assets together
	files   map[string]*file // by name
}

// file is an embedded file, ready to be sent.
type file struct {
	name string
	body []byte
	kind string // Content-Type
	etag string
}

// New reads the embedded files.
func New(streams Streams) (*Handler, error) {
	h := &Handler{streams: streams, files: map[string]*file{}}
	all := sha256.New()
	err := fs.WalkDir(web.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(web.Files, name)
		if err != nil {
			return err
		}
		fmt.Fprintf(all, "%s %d\n", name, len(body))
		all.Write(body)
		h.files[name] = &file{name: name, body: body, kind: contentType(name)}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read pages: %w", err)
	}
	h.version = hex.EncodeToString(all.Sum(nil))[:12]
	for name, f := range h.files {
		if path.Ext(name) == ".html" {
			f.body = bytes.ReplaceAll(f.body, []byte(placeholder), []byte(assets+h.version+"/"))
		}
		sum := sha256.Sum256(f.body)
		f.etag = `"` + hex.EncodeToString(sum[:8]) + `"`
	}
	return h, nil
}

// contentType by extension: the system's tables are not to be relied on.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return "text/plain; charset=utf-8"
}

// ServeHTTP answers what belongs to no stream: / is the dashboard, /assets/ what
// pages load, anything else 404.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	if r.URL.Path == "/" {
		h.dashboard(w, r)
		return
	}
	version, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, assets), "/")
	f := h.files[name]
	if !strings.HasPrefix(r.URL.Path, assets) || f == nil || path.Ext(name) == ".html" {
		http.NotFound(w, r)
		return
	}
	// The folder is named after the content of all assets, so browsers may keep
	// them for ever. Under an old name, which a page from before an update may
	// still use, stands today's file.
	w.Header().Set("Cache-Control", "no-cache")
	if version == h.version {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	f.serve(w, r)
}

// dashboard sends the operator's page. It holds no data: what it shows comes
// from the API, to whoever is logged in.
func (h *Handler) dashboard(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", policy+"'none'")
	h.page(w, r, "dashboard.html", http.StatusOK)
}

// ServePlayer sends a stream's page for GET /live/{playback} and
// /live/{playback}/, with status 404 when the id is unknown: the page then says
// so. Any site may embed it.
func (h *Handler) ServePlayer(w http.ResponseWriter, r *http.Request) {
	h.streamPage(w, r, "player.html")
}

// ServeDetect sends the page of a stream with what detectors find in it, for GET
// /live/{playback}/detect, as ServePlayer does.
func (h *Handler) ServeDetect(w http.ResponseWriter, r *http.Request) {
	h.streamPage(w, r, "detect.html")
}

func (h *Handler) streamPage(w http.ResponseWriter, r *http.Request, name string) {
	status := http.StatusOK
	if _, ok := h.status(r.PathValue("playback")); !ok {
		status = http.StatusNotFound
	}
	w.Header().Set("Content-Security-Policy", policy+"*")
	h.page(w, r, name, status)
}

// ServeRecording sends the page of a recording or clip that exists. Any site may
// embed it.
func (h *Handler) ServeRecording(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", policy+"*")
	h.page(w, r, "recording.html", http.StatusOK)
}

func (h *Handler) page(w http.ResponseWriter, r *http.Request, name string, status int) {
	header := w.Header()
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-cache")
	if status != http.StatusOK {
		header.Set("Cache-Control", "no-store")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Content-Type", h.files[name].kind)
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			_, _ = w.Write(h.files[name].body)
		}
		return
	}
	h.files[name].serve(w, r)
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", f.kind)
	header.Set("ETag", f.etag)
	header.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body))
}
