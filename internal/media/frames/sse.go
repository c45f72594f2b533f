package frames

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// serveDetections is everything that apps find, for whoever may watch the stream,
// as server-sent events: the data of each is one JSON message; there is no event
// field, so that one handler sees all.
func (s *Service) serveDetections(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	stream := s.cfg.Streams.ByPlayback(r.PathValue("playback"))
	if stream == nil {
		s.refuse(w, errNoStream())
		return
	}
	reader, err := s.Read(stream)
	if err != nil {
		s.refuse(w, err)
		return
	}
	defer reader.Close()
	bound(r)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // proxies pass on at once
	out := http.NewResponseController(w)
	for {
		wait, waited := context.WithTimeout(ctx, beatEvery)
		list, err := reader.Next(wait)
		waited()
		if errors.Is(err, ErrOver) || ctx.Err() != nil {
			return
		}
		_ = out.SetWriteDeadline(time.Now().Add(writeTime)) // a recorder has none
		var buf []byte
		if len(list) == 0 {
			buf = append(buf, ":\n\n"...) // a comment: the peer is noticed when it has gone
		}
		for _, m := range list {
			buf = append(append(append(buf, "data: "...), m...), "\n\n"...)
		}
		_, err = w.Write(buf)
		if errors.Join(err, out.Flush()) != nil {
			return
		}
	}
}

// servePost takes an app's results.
func (s *Service) servePost(w http.ResponseWriter, r *http.Request) {
	app, stream, err := s.admit(r)
	if err == nil {
		var body []byte
		if body, err = readPost(w, r); err == nil {
			err = s.Post(stream, app, body)
		}
	}
	if err != nil {
		s.refuse(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// readPost reads a body within its bounds.
func readPost(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPost))
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return nil, refused(http.StatusRequestEntityTooLarge, "TOO_LARGE", "The body is longer than 256 KiB.")
	}
	if err != nil {
		return nil, invalid("the body was cut short")
	}
	return body, nil
}
