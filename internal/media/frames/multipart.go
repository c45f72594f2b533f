package frames

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"glimpse/protocol"
)

// serveMJPEG is pictures only, as cameras send them and browsers show them.
func (s *Service) serveMJPEG(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	q.Set("format", string(JPEG))
	r.URL.RawQuery = q.Encode()
	sub, err := s.subscribe(r)
	if err != nil {
		s.refuse(w, err)
		return
	}
	defer sub.Close()
	bound(r)
	s.stream(w, r, sub, false)
}

// stream sends a subscription as parts of one answer (multipart/x-mixed-replace):
// pictures with their header as X-Frame; words too, if they are wanted.
func (s *Service) stream(w http.ResponseWriter, r *http.Request, sub *Subscription, words bool) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	w.Header().Set("Content-Type", `multipart/x-mixed-replace; boundary=frame`)
	w.Header().Set("X-Accel-Buffering", "no") // proxies pass on at once
	out := http.NewResponseController(w)
	for {
		n, err := sub.next(ctx)
		if err != nil {
			return
		}
		kind, about, body := "application/json", "", []byte(nil)
		switch {
		case n.Picture != nil:
			kind, body = contentType(sub.options.Format), n.Picture.Bytes(sub.options.Format)
			about = "X-Frame: " + headerJSON(n.Header) + "\r\n"
		case !words:
			continue
		default:
			if body, err = n.append(nil, ""); err != nil {
				return
			}
		}
		_ = out.SetWriteDeadline(time.Now().Add(writeTime)) // a recorder has none
		_, err = fmt.Fprintf(w, "--frame\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n", kind, len(body), about)
		if err == nil {
			_, err = w.Write(body) // shared: not to be appended to
		}
		if err == nil {
			_, err = io.WriteString(w, "\r\n")
		}
		if errors.Join(err, out.Flush()) != nil {
			return
		}
	}
}

func contentType(f Format) string {
	if f == JPEG {
		return "image/jpeg"
	}
	return "application/octet-stream"
}

func headerJSON(h protocol.FrameHeader) string {
	b, _ := json.Marshal(h) // numbers and a word
	return string(b)
}

const (
	// oneFPS is the rate for somebody who asks for one picture: how old it may be.
	oneFPS = 5
	// oneWait is how long a first picture may take.
	oneWait = 5 * time.Second
)

// serveOne answers with the newest picture. The decoder lingers, so that asking
// once a second costs no start each time.
func (s *Service) serveOne(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	q.Set("fps", strconv.Itoa(oneFPS))
	q.Set("format", string(JPEG))
	r.URL.RawQuery = q.Encode()
	sub, err := s.subscribe(r)
	if err != nil {
		s.refuse(w, err)
		return
	}
	defer sub.Close()
	ctx, cancel := context.WithTimeout(r.Context(), oneWait)
	defer cancel()
	why := condition{protocol.StateStarting, "No picture came in time."}
	for {
		n, err := sub.next(ctx)
		if err != nil {
			s.refuse(w, refused(http.StatusServiceUnavailable, "NO_VIDEO", why.reason))
			return
		}
		if n.State != nil && n.State.Reason != "" {
			why = condition{n.State.State, n.State.Reason}
		}
		if why.state == protocol.StateNoVideo || why.state == protocol.StateStopped {
			s.refuse(w, refused(http.StatusServiceUnavailable, "NO_VIDEO", why.reason))
			return
		}
		if n.Picture == nil {
			continue
		}
		b := n.Picture.Bytes(JPEG)
		w.Header().Set("Content-Type", "image/jpeg")
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		w.Header().Set("X-Frame", headerJSON(n.Header))
		_, _ = w.Write(b) // the peer may be gone
		return
	}
}
