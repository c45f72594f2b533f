package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"

	"glimpse/protocol"
)

// The subscriptions of a session; the first two are always there.
const (
	subStatus        = protocol.TypeStreamStatus
	subManagedStatus = protocol.TypeManagedStatus
	subSpeech        = "transcription:en-US"
	subButton        = protocol.TypeButtonPress
)

// Session is an app's life with one wearer. Its methods may be called from any
// goroutine; those that talk to the cloud wait through a lost connection until
// their context ends.
type Session struct {
	app      *App
	id, user string
	address  string
	log      *slog.Logger

	life   context.Context
	cancel context.CancelCauseFunc
	begun  chan error // of capacity 1: the outcome of the first connection
	feeds

	subWrite        sync.Mutex // orders changes of subs on the wire; taken before mu
	mu              sync.Mutex // guards what follows
	ws              *websocket.Conn
	up              chan struct{} // closed when ws is there; renewed when it goes
	capabilities    *protocol.Capabilities
	device          Device
	subs            map[string]int // how many readers each has
	managed, direct *Stream
	former          map[bool]string // id of the last stream that ended, by Stream.managed
	checks          []*check
}

// feeds are what a session's readers follow.
type feeds struct {
	speech   feed[protocol.Transcription]
	presses  feed[protocol.ButtonPress]
	statuses feed[Status]
}

// Device is what the cloud has told about the glasses.
type Device struct {
	Connected     bool
	ModelName     string
	BatteryLevel  float64 // percent, 0 when unknown
	Charging      bool
	WifiConnected bool
	WifiSSID      string
}

// check is a pending CheckExisting.
type check struct {
	id     string
	answer chan *protocol.StreamInfo // of capacity 1
}

func newSession(a *App, m *protocol.SessionRequest, address string) *Session {
	s := &Session{
		app: a, id: m.SessionID, user: m.UserID, address: address,
		log:   a.log.With("session", m.SessionID),
		begun: make(chan error, 1), up: make(chan struct{}),
		subs: map[string]int{subStatus: 1, subManagedStatus: 1}, former: make(map[bool]string),
	}
	s.life, s.cancel = context.WithCancelCause(a.life)
	return s
}

// ID is the session's name at the cloud, an opaque string.
func (s *Session) ID() string { return s.id }

// UserID is the wearer's, usually an e-mail address.
func (s *Session) UserID() string { return s.user }

// Device is what is known of the glasses now.
func (s *Session) Device() Device {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.device
}

// Capabilities are what the model of glasses can do, nil when the cloud does
// not know. The value is shared: do not change it.
func (s *Session) Capabilities() *protocol.Capabilities {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.capabilities
}

// ShowText shows a text on the glasses in place of what they showed.
func (s *Session) ShowText(ctx context.Context, text string) error {
	layout, err := json.Marshal(protocol.TextWall{LayoutType: "text_wall", Text: text})
	if err != nil {
		return fmt.Errorf("show text: %w", err)
	}
	return s.send(ctx, protocol.Display{
		Envelope: s.envelope(protocol.TypeDisplay), PackageName: s.app.cfg.Package, View: "main", Layout: layout,
	})
}

// Transcriptions iterates over what the wearer says, in English, unfinished
// phrases too (IsFinal tells). It listens while the loop runs. Speech while the
// reader is busy waits, up to 64 pieces. The loop ends silently with ctx or the
// session; the app's missing MICROPHONE permission is an error, its last.
func (s *Session) Transcriptions(ctx context.Context) iter.Seq2[protocol.Transcription, error] {
	return events(ctx, s, &s.speech, subSpeech)
}

// Buttons iterates over presses of the glasses' buttons, as Transcriptions does
// over speech.
func (s *Session) Buttons(ctx context.Context) iter.Seq2[protocol.ButtonPress, error] {
	return events(ctx, s, &s.presses, subButton)
}

// Statuses iterates over the statuses of all of the app's streams from now on,
// also of those that are still starting. It ends silently with ctx or the
// session.
func (s *Session) Statuses(ctx context.Context) iter.Seq2[Status, error] {
	r := s.statuses.add()
	stop := context.AfterFunc(ctx, func() { s.statuses.remove(r) })
	return func(yield func(Status, error) bool) {
		defer stop()
		defer s.statuses.remove(r)
		s.statuses.follow(ctx, r, s.over(), yield)
	}
}

// CheckExisting asks for the wearer's stream, whichever app runs it; nil when
// there is none. After an app's restart its URLs can be used again when it is
// managed; when it is direct, the camera is taken.
func (s *Session) CheckExisting(ctx context.Context) (*protocol.StreamInfo, error) {
	c := &check{id: newID("check_"), answer: make(chan *protocol.StreamInfo, 1)}
	s.mu.Lock()
	s.checks = append(s.checks, c)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.checks = slices.DeleteFunc(s.checks, func(o *check) bool { return o == c })
	}()
	if err := s.send(ctx, protocol.StatusCheck{Envelope: s.envelope(protocol.TypeStatusCheck), RequestID: c.id}); err != nil {
		return nil, err
	}
	t := time.NewTimer(checkWait)
	defer t.Stop()
	select {
	case info := <-c.answer:
		return info, nil
	case <-t.C:
		return nil, &Error{Code: protocol.CodeTimeout, Message: "Stream check timeout: the cloud did not answer"}
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.over():
		return nil, context.Cause(s.life)
	}
}

func (s *Session) envelope(kind string) protocol.Envelope {
	return protocol.Envelope{Type: kind, SessionID: s.id, Timestamp: protocol.Time{Time: time.Now()}}
}

// over is closed when the session has ended.
func (s *Session) over() <-chan struct{} { return s.life.Done() }

// end ends the session for a reason; only the first one counts.
func (s *Session) end(why error) { s.cancel(why) }

// subscribe counts the readers of a subscription and tells the cloud the full
// set when it has changed. A connection that is just lost gets it when it is
// back.
func (s *Session) subscribe(name string, by int) {
	s.subWrite.Lock()
	defer s.subWrite.Unlock()
	s.mu.Lock()
	before := s.subs[name]
	if s.subs[name] = before + by; s.subs[name] == 0 {
		delete(s.subs, name)
	}
	changed := (before == 0) != (before+by == 0)
	ws := s.ws
	s.mu.Unlock()
	if changed && ws != nil {
		if err := s.write(ws, s.subscriptions()); err != nil {
			s.lost(ws)
		}
	}
}

func (s *Session) subscriptions() protocol.Subscriptions {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := protocol.Subscriptions{Envelope: s.envelope(protocol.TypeSubscriptions), PackageName: s.app.cfg.Package}
	for _, name := range slices.Sorted(maps.Keys(s.subs)) {
		m.Subscriptions = append(m.Subscriptions, json.RawMessage(`"`+name+`"`))
	}
	return m
}
