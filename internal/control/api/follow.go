package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Times of an answer that goes on as long as its caller listens.
const (
	followBeat  = 10 * time.Second // something comes at least so often
	followWrite = 10 * time.Second // a reader that stands still for so long is cut off
)

// following is such an answer.
type following[E any] struct {
	contentType string
	next        func(context.Context) ([]E, error) // waits for news; io.EOF is the end
	write       func(io.Writer, E) error
	beat        func(io.Writer) error // at the beginning, and when nothing else came for followBeat
	done        func()
}

// response answers a huma operation.
func (f following[E]) response() *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer f.done()
		hc.SetHeader("Content-Type", f.contentType)
		hc.SetHeader("X-Accel-Buffering", "no") // proxies pass on at once
		hc.SetStatus(http.StatusOK)
		if w, ok := hc.BodyWriter().(http.ResponseWriter); ok {
			f.run(hc.Context(), w)
		}
	}}
}

// run writes until there is no more, or the caller hangs up or stands still.
func (f following[E]) run(ctx context.Context, w http.ResponseWriter) {
	out := http.NewResponseController(w)
	var news []E
	for {
		_ = out.SetWriteDeadline(time.Now().Add(followWrite)) // not every writer has one
		var err error
		for _, e := range news {
			err = errors.Join(err, f.write(w, e))
		}
		if len(news) == 0 {
			err = f.beat(w)
		}
		if errors.Join(err, out.Flush()) != nil {
			return
		}
		wait, cancel := context.WithTimeout(ctx, followBeat)
		news, err = f.next(wait)
		cancel()
		if ctx.Err() != nil || errors.Is(err, io.EOF) {
			return
		}
	}
}
