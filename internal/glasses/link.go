package glasses

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"

	"glimpse/protocol"
)

// Errors with which the cloud ends the glasses for good.
var (
	// ErrUnauthorized says that the token is not valid here.
	ErrUnauthorized = errors.New("the cloud refused the token")
	// ErrSuperseded says that the same user's newer device took over.
	ErrSuperseded = errors.New("superseded by another device")
)

const (
	maxMessage = 1 << 20
	linkQueue  = 64
)

// link keeps a websocket to the cloud. Its callbacks run on its goroutine.
type link struct {
	url     string
	token   string
	http    *http.Client
	reach   func(context.Context) // waits until there is a network
	times   Times
	log     *slog.Logger
	out     chan []byte
	up      func()
	down    func(error)
	message func(protocol.Envelope, []byte)
}

// glassesURL is the address of the glasses' websocket on a server that is
// given as http(s)://host:port or ws(s)://host:port.
func glassesURL(server string) (string, error) {
	if !strings.Contains(server, "://") {
		server = "http://" + server
	}
	u, err := url.Parse(server)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("server %q is not a URL like http://localhost:8002", server)
	}
	switch u.Scheme {
	case "http", "ws":
		u.Scheme = "ws"
	case "https", "wss":
		u.Scheme = "wss"
	default:
		return "", fmt.Errorf("server %q: http, https, ws or wss is needed", server)
	}
	u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/glasses-ws"), "/") + "/glasses-ws"
	return u.String(), nil
}

// run connects, and connects again with growing pauses, until ctx ends or the
// cloud ends the glasses for good.
func (l *link) run(ctx context.Context) error {
	pause := l.times.LinkRetry
	for {
		connected, err := l.session(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrUnauthorized), errors.Is(err, ErrSuperseded):
			return err
		}
		l.down(err)
		if connected {
			pause = l.times.LinkRetry
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		l.reach(ctx)
		pause = min(2*pause, l.times.LinkRetryMax)
	}
}

// session is the life of one websocket.
func (l *link) session(ctx context.Context) (connected bool, err error) {
	// Reading outlives ctx by the farewell.
	rctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	silence := time.AfterFunc(l.times.LinkSilence, func() { cancel(errors.New("the cloud is silent")) })
	defer silence.Stop()
	ws, err := l.dial(ctx, func(context.Context, []byte) bool {
		silence.Reset(l.times.LinkSilence)
		return true
	})
	if err != nil {
		return false, err
	}
	defer ws.CloseNow()
	ws.SetReadLimit(maxMessage)
	for len(l.out) > 0 { // meant for the former connection
		<-l.out
	}
	l.up()
	written := make(chan struct{})
	go func() {
		defer close(written)
		if err := l.write(ctx, rctx, ws); err != nil {
			cancel(err)
		}
	}()
	err = l.read(rctx, ws, func() { silence.Reset(l.times.LinkSilence) })
	if cause := context.Cause(rctx); cause != nil {
		err = cause
	}
	cancel(err)
	<-written
	return true, err
}

func (l *link) dial(ctx context.Context, pinged func(context.Context, []byte) bool) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, l.times.Dial)
	defer cancel()
	ws, resp, err := websocket.Dial(ctx, l.url, &websocket.DialOptions{
		HTTPClient:     l.http,
		HTTPHeader:     http.Header{"Authorization": {"Bearer " + l.token}},
		OnPingReceived: pinged,
	})
	if err == nil {
		return ws, nil
	}
	if resp != nil && resp.StatusCode == http.StatusUnauthorized {
		var m protocol.ErrorMessage
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 1024))
		if json.Unmarshal(b, &m) == nil && m.Message != "" {
			return nil, fmt.Errorf("%w: %s", ErrUnauthorized, clean(m.Message))
		}
		return nil, ErrUnauthorized
	}
	return nil, fmt.Errorf("connect to the cloud: %w", err)
}

func (l *link) read(ctx context.Context, ws *websocket.Conn, heard func()) error {
	for {
		kind, b, err := ws.Read(ctx)
		if err != nil {
			var ce websocket.CloseError
			if errors.As(err, &ce) && strings.Contains(ce.Reason, "superseded") {
				return ErrSuperseded
			}
			return err
		}
		heard()
		if kind != websocket.MessageText {
			continue
		}
		var e protocol.Envelope
		if err := json.Unmarshal(b, &e); err != nil {
			l.log.Warn("the cloud sent a message that cannot be read", "err", err)
			continue
		}
		switch e.Type {
		case protocol.TypeConnectionError, "auth_error":
			var m protocol.ErrorMessage
			if json.Unmarshal(b, &m) != nil {
				m.Message = "no reason given"
			}
			if strings.Contains(m.Message, "superseded") {
				return ErrSuperseded
			}
			return fmt.Errorf("%w: %s", ErrUnauthorized, clean(m.Message))
		}
		l.message(e, b)
	}
}

// write sends the queue. When ctx ends it sends what is left, says goodbye and
// thereby ends the reader too; when rctx ends it returns at once.
func (l *link) write(ctx, rctx context.Context, ws *websocket.Conn) error {
	for {
		select {
		case <-rctx.Done():
			return nil
		case b := <-l.out:
			if err := l.writeOne(rctx, ws, b); err != nil {
				return err
			}
		case <-ctx.Done():
			for len(l.out) > 0 {
				if err := l.writeOne(rctx, ws, <-l.out); err != nil {
					return err
				}
			}
			// Close waits for the peer's answer, 5 s at most: too long here.
			timer := time.AfterFunc(l.times.Farewell, func() { ws.CloseNow() })
			defer timer.Stop()
			ws.Close(websocket.StatusNormalClosure, "")
			return ctx.Err()
		}
	}
}

func (l *link) writeOne(ctx context.Context, ws *websocket.Conn, b []byte) error {
	ctx, cancel := context.WithTimeout(ctx, l.times.Stall)
	defer cancel()
	return ws.Write(ctx, websocket.MessageText, b)
}

// send queues a message; a full queue means a dead connection, whose end is
// near, and the message is lost with it.
func (l *link) send(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		l.log.Error("encode a message", "err", err)
		return
	}
	select {
	case l.out <- b:
	default:
		l.log.Warn("a message to the cloud was lost: the connection takes nothing")
	}
}
