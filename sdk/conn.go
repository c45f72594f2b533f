package sdk

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/coder/websocket"

	"glimpse/protocol"
)

// The times of the wire (WIRE d.5); those of the published SDKs where they have
// one.
const (
	connectWait = 10 * time.Second
	ackWait     = 5 * time.Second
	checkWait   = 5 * time.Second
	managedWait = 30 * time.Second
	stopWait    = 10 * time.Second
	writeWait   = 10 * time.Second
	pingEvery   = 15 * time.Second
	pongWait    = 20 * time.Second // without an answer to a ping the cloud is gone
	firstRetry  = time.Second
	longRetry   = 8 * time.Second
	patience    = time.Minute // without a connection, then the session is over
	maxMessage  = 1 << 20
)

var (
	errDone      = errors.New("sdk: OnSession returned")
	errRestarted = &Error{Code: protocol.CodeAppNotStarted, Message: "the cloud started the session anew"}
)

// newID returns a random name with a prefix.
func newID(prefix string) string { return prefix + rand.Text() }

// run is the session's life, from the first connection to the return of
// OnSession. A former session of the same id gives way.
func (s *Session) run(former *Session) {
	defer s.cancel(nil)
	if former != nil {
		former.end(errRestarted)
	}
	ws, err := s.connect()
	if err != nil {
		s.begun <- err
		return
	}
	s.begun <- nil
	handler := make(chan struct{})
	go func() {
		defer close(handler)
		s.handle()
	}()
	for ws != nil {
		err := s.serve(ws)
		s.lost(ws)
		if s.life.Err() != nil {
			break
		}
		if why := final(err); why != nil {
			s.end(why)
			break
		}
		s.log.Info("connection to the cloud lost", "err", err)
		ws = s.reconnect()
	}
	<-handler
}

// handle runs the app's code; its panic ends this session only.
func (s *Session) handle() {
	defer s.end(errDone)
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("OnSession panicked", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	if err := s.app.cfg.OnSession(s.life, s); err != nil && s.life.Err() == nil {
		s.log.Error("OnSession failed", "err", err)
	}
}

// final is the reason why a session ends with this error, nil when it is worth
// connecting again: the cloud closed it on purpose or will never take it
// (WIRE a.8).
func final(err error) *Error {
	var refused *Error
	if errors.As(err, &refused) {
		return refused
	}
	var closed websocket.CloseError
	if !errors.As(err, &closed) {
		return nil
	}
	reason := closed.Reason
	if reason == "" {
		reason = "the cloud closed the session"
	}
	switch closed.Code {
	case websocket.StatusNormalClosure, websocket.StatusGoingAway:
		return &Error{Code: protocol.CodeAppNotStarted, Message: reason}
	case websocket.StatusPolicyViolation:
		return &Error{Code: protocol.CodeInvalidAPIKey, Message: reason}
	}
	return nil
}

// reconnect tries for a minute; nil means that the session is over.
func (s *Session) reconnect() *websocket.Conn {
	end := time.Now().Add(patience)
	for pause := firstRetry; ; pause = min(2*pause, longRetry) {
		select {
		case <-time.After(pause):
		case <-s.over():
			return nil
		}
		ws, err := s.connect()
		if err == nil {
			s.log.Info("connected to the cloud again")
			return ws
		}
		if why := final(err); why != nil {
			s.end(why)
			return nil
		}
		if time.Now().After(end) {
			s.end(&Error{Code: protocol.CodeCloudService, Message: "Cloud service error: connection lost: " + err.Error()})
			return nil
		}
		s.log.Debug("connecting again failed", "err", err)
	}
}

// connect dials, introduces the app, waits for the acknowledgement and
// subscribes; then the connection is everybody's.
func (s *Session) connect() (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(s.life, connectWait)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, s.address, &websocket.DialOptions{HTTPClient: s.app.cfg.HTTPClient})
	if err != nil {
		return nil, fmt.Errorf("connect to the cloud: %w", err)
	}
	ws.SetReadLimit(maxMessage)
	if err := s.introduce(ws); err != nil {
		ws.CloseNow()
		return nil, err
	}
	s.subWrite.Lock()
	defer s.subWrite.Unlock()
	if err := s.write(ws, s.subscriptions()); err != nil {
		ws.CloseNow()
		return nil, err
	}
	s.mu.Lock()
	s.ws = ws
	close(s.up)
	s.mu.Unlock()
	return ws, nil
}

// introduce sends the init and waits for the ack.
func (s *Session) introduce(ws *websocket.Conn) error {
	ctx, cancel := context.WithTimeout(s.life, ackWait)
	defer cancel()
	err := s.write(ws, protocol.AppInit{
		Type: protocol.TypeAppInit, SessionID: s.id, PackageName: s.app.cfg.Package, APIKey: s.app.cfg.APIKey,
		Timestamp: protocol.Time{Time: time.Now()},
	})
	if err != nil {
		return err
	}
	for {
		_, b, err := ws.Read(ctx)
		if err != nil {
			return fmt.Errorf("wait for the cloud's acknowledgement: %w", err)
		}
		var m struct {
			protocol.ErrorMessage
			Capabilities *protocol.Capabilities `json:"capabilities"`
		}
		if err := json.Unmarshal(b, &m); err != nil {
			return fmt.Errorf("wait for the cloud's acknowledgement: %w", err)
		}
		switch m.Type {
		case protocol.TypeAppAck:
			s.mu.Lock()
			s.capabilities = m.Capabilities
			s.mu.Unlock()
			return nil
		case protocol.TypeAppError, protocol.TypeConnectionError:
			return refusal(m.Code, m.Message, "the cloud refused the app")
		}
	}
}

// serve reads until the connection breaks or the session ends; then it says
// goodbye.
func (s *Session) serve(ws *websocket.Conn) error {
	ctx, cancel := context.WithCancelCause(context.Background()) // reading outlives the session by the goodbye
	var helpers sync.WaitGroup
	helpers.Go(func() {
		select {
		case <-ctx.Done():
		case <-s.over():
			s.goodbye(ws)
			ws.Close(websocket.StatusNormalClosure, "")
			cancel(nil)
		}
	})
	helpers.Go(func() { cancel(ping(ctx, ws)) })
	err := s.readAll(ctx, ws)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	cancel(err)
	helpers.Wait()
	return err
}

// ping asks for a sign of life until there is none or ctx ends.
func ping(ctx context.Context, ws *websocket.Conn) error {
	t := time.NewTicker(pingEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
		pong, cancel := context.WithTimeout(ctx, pongWait)
		err := ws.Ping(pong)
		cancel()
		if err != nil {
			return fmt.Errorf("the cloud is silent: %w", err)
		}
	}
}

func (s *Session) readAll(ctx context.Context, ws *websocket.Conn) error {
	for {
		kind, b, err := ws.Read(ctx)
		if err != nil {
			return err
		}
		if kind != websocket.MessageText {
			continue
		}
		if err := s.onMessage(b); err != nil {
			return err
		}
	}
}

// goodbye tells the cloud why the app leaves, when it is the app that does.
func (s *Session) goodbye(ws *websocket.Conn) {
	why := context.Cause(s.life)
	reason := ""
	switch {
	case errors.Is(why, errDone):
		reason = "session_done"
	case errors.Is(why, errRestarted):
		reason = "switching_clouds"
	case s.app.life.Err() != nil:
		reason = "clean_shutdown"
	default:
		return // the cloud knows
	}
	if reason != "switching_clouds" {
		for _, st := range s.streams() {
			_ = s.write(ws, st.stopMessage())
		}
	}
	_ = s.write(ws, struct {
		protocol.Envelope
		PackageName string `json:"packageName"`
		Reason      string `json:"reason"`
	}{s.envelope(protocol.TypeOwnershipRelease), s.app.cfg.Package, reason})
}

// send writes a message, if need be on the next connection.
func (s *Session) send(ctx context.Context, v any) error {
	for {
		s.mu.Lock()
		ws, up := s.ws, s.up
		s.mu.Unlock()
		select {
		case <-up:
		case <-ctx.Done():
		case <-s.over():
		}
		if s.life.Err() != nil {
			return context.Cause(s.life)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if ws == nil {
			continue // it came while we looked
		}
		err := s.write(ws, v)
		if err == nil {
			return nil
		}
		s.lost(ws)
	}
}

// write sends one message. A write that is broken off kills the connection,
// therefore no caller's context reaches it.
func (s *Session) write(ws *websocket.Conn, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeWait)
	defer cancel()
	return ws.Write(ctx, websocket.MessageText, b)
}

// lost takes a broken connection out of use; its reader ends.
func (s *Session) lost(ws *websocket.Conn) {
	ws.CloseNow()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ws == ws {
		s.ws, s.up = nil, make(chan struct{})
	}
}
