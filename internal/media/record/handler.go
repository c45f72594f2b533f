package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// writeTimeout bounds how long a viewer may keep one write waiting.
const writeTimeout = 30 * time.Second

// ServeHTTP answers a request below a recording's address: rest is what follows
// its key and a slash.
func (r *Recorder) ServeHTTP(w http.ResponseWriter, req *http.Request, info Info, rest string) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Content-Range, ETag")
	switch req.Method {
	case http.MethodGet, http.MethodHead:
	default:
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "Only GET and HEAD are possible here.", http.StatusMethodNotAllowed)
		return
	}
	switch rest {
	case "video.mp4":
		r.ServeFile(w, req, info, req.URL.Query().Has("download"))
	case "status.json":
		serveStatus(w, info)
	default:
		r.serveHLS(w, req, info, rest)
	}
}

// serveStatus tells the page of a recording what it needs.
func serveStatus(w http.ResponseWriter, info Info) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(map[string]any{ // the viewer may have gone
		"kind": info.Kind, "name": info.Name, "status": info.State, "startedAt": info.Started, "duration": info.Duration,
		"width": info.Width, "height": info.Height, "gaps": append([]Gap{}, info.Gaps...),
	})
}

// serveHLS answers for a recording's playlist, inits and segments. Clips are
// short: they have none.
func (r *Recorder) serveHLS(w http.ResponseWriter, req *http.Request, info Info, rest string) {
	f, size, err := r.disk.Open(info.ID + ".mp4")
	if err != nil || info.Kind == Clip {
		http.Error(w, "There is no such file.", http.StatusNotFound)
		if err == nil {
			_ = f.Close() // not read
		}
		return
	}
	defer func() { _ = f.Close() }() // only read
	growing := info.State.open()
	index, err := r.scans.of(info.ID, f, size)
	if err != nil {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "The recording has no picture yet.", http.StatusServiceUnavailable)
		return
	}
	list := segments(index, growing)
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	if rest == "index.m3u8" {
		h.Set("Content-Type", "application/vnd.apple.mpegurl")
		h.Set("Cache-Control", "no-store")
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(playlist(list, info.Started, growing)))
		return
	}
	h.Set("Content-Type", "video/mp4")
	h.Set("Cache-Control", "private, max-age=3600")
	if n, ok := numbered(rest, "i", ".mp4", len(index.Inits)); ok {
		b, err := initOf(f, index, n)
		if err == nil {
			http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(b))
			return
		}
	}
	if n, ok := numbered(rest, "", ".m4s", len(list)); ok {
		http.ServeContent(&patient{ResponseWriter: w, control: http.NewResponseController(w)}, req, "", time.Time{},
			io.NewSectionReader(f, list[n].at, list[n].size))
		return
	}
	h.Del("Cache-Control")
	http.Error(w, "There is no such file.", http.StatusNotFound)
}

// numbered reads the number between a prefix and a suffix, below a limit.
func numbered(name, prefix, suffix string, limit int) (int, bool) {
	text, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return 0, false
	}
	if text, ok = strings.CutSuffix(text, suffix); !ok {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0 && n < limit && text == strconv.Itoa(n)
}

// ServeFile answers with the MP4 file of a recording, with ranges: of one in
// progress, what is there. download makes browsers save it.
func (r *Recorder) ServeFile(w http.ResponseWriter, req *http.Request, info Info, download bool) {
	f, size, err := r.disk.Open(info.ID + ".mp4")
	if err != nil {
		http.Error(w, "There is no file of this recording.", http.StatusNotFound)
		return
	}
	defer func() { _ = f.Close() }() // only read
	h := w.Header()
	h.Set("Content-Type", "video/mp4")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if info.State == Finished {
		h.Set("Cache-Control", "private, max-age=3600")
		h.Set("ETag", fmt.Sprintf(`"%s-%d"`, info.ID, size))
	}
	if download {
		h.Set("Content-Disposition", `attachment; filename="`+info.ID+`.mp4"`)
	}
	http.ServeContent(&patient{ResponseWriter: w, control: http.NewResponseController(w)}, req, "", time.Time{},
		io.NewSectionReader(f, 0, size))
}

// patient gives every write a deadline of its own: a large file may take long, a
// viewer that has gone may not.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
}

// Write implements io.Writer.
func (p *patient) Write(b []byte) (int, error) {
	_ = p.control.SetWriteDeadline(time.Now().Add(writeTimeout)) // not every writer has deadlines; the server's have
	return p.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (p *patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }
