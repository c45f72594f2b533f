package record

import (
	"fmt"
	"io"
	"net/http"
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
	default:
		http.Error(w, "There is no such file.", http.StatusNotFound)
	}
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
