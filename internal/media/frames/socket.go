package frames

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/coder/websocket"

	"glimpse/protocol"
)

// serveFrames is the subscription to pictures.
func (s *Service) serveFrames(w http.ResponseWriter, r *http.Request) {
	sub, err := s.subscribe(r)
	if err != nil {
		s.refuse(w, err)
		return
	}
	defer sub.Close()
	bound(r)
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		s.stream(w, r, sub, true)
		return
	}
	// Apps prove themselves by a key in a header, never by a cookie, so a page of
	// another origin gains nothing by connecting.
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		s.counts.refused.Add(1)
		return
	}
	defer func() { _ = ws.CloseNow() }()
	defer func() {
		if cause := recover(); cause != nil { // the server would not see it: the connection is ours
			s.log.Error("a subscriber's connection panicked", "cause", cause, "stack", string(debug.Stack()))
		}
	}()
	s.talk(ws, sub)
}

// talk sends until the subscriber goes, stands still, or it is over.
func (s *Service) talk(ws *websocket.Conn, sub *Subscription) {
	ctx, gone := context.WithCancel(s.ctx)
	var listener sync.WaitGroup
	defer listener.Wait()
	defer gone()
	listener.Go(func() {
		defer gone()
		s.listen(ctx, ws, sub)
	})
	var buf []byte
	for {
		n, err := sub.next(ctx)
		if errors.Is(err, ErrOver) {
			_ = ws.Close(websocket.StatusNormalClosure, "over")
			return
		}
		if err != nil {
			return
		}
		kind := websocket.MessageText
		if n.Picture != nil {
			kind = websocket.MessageBinary
		}
		if buf, err = n.append(buf[:0], sub.options.Format); err != nil {
			return
		}
		wait, cancel := context.WithTimeout(ctx, writeTime)
		err = ws.Write(wait, kind, buf)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				s.log.Info("a subscriber of pictures was too slow", "app", sub.app, "err", err)
			}
			return
		}
	}
}

// append adds a message: JSON, or for a picture the length of its header (4 bytes,
// big-endian), the header as JSON, and the bytes.
func (n News) append(b []byte, f Format) ([]byte, error) {
	var about any = n.Header
	switch {
	case n.Hello != nil:
		about = n.Hello
	case n.State != nil:
		about = n.State
	}
	text, err := json.Marshal(about)
	if err != nil || n.Picture == nil {
		return append(b, text...), err
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
	b = append(b, text...)
	return append(b, n.Picture.Bytes(f)...), nil
}

// listen takes what a subscriber posts until it goes. A message that is refused is
// answered.
func (s *Service) listen(ctx context.Context, ws *websocket.Conn, sub *Subscription) {
	ws.SetReadLimit(maxPost)
	for {
		kind, body, err := ws.Read(ctx)
		if err != nil {
			return
		}
		err = invalid("messages are text")
		if kind == websocket.MessageText {
			err = s.Post(sub.tap.channel.stream, sub.app, body)
		}
		var why *Refusal
		if !errors.As(err, &why) {
			continue
		}
		answer, _ := json.Marshal(protocol.Failure{Type: protocol.TypeError, Code: why.Code, Message: why.Text}) // texts
		wait, cancel := context.WithTimeout(ctx, writeTime)
		err = ws.Write(wait, websocket.MessageText, answer)
		cancel()
		if err != nil {
			return
		}
	}
}

// maxPost bounds what an app posts at once, in bytes.
const maxPost = 256 << 10
