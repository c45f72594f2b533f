package gateway

import (
	"errors"
	"sync/atomic"

	"github.com/coder/websocket"

	"glimpse/internal/control/auth"
	"glimpse/internal/control/tap"
)

// tapped is what watchers of a wearer are told about one of their sockets. It is
// safe for concurrent use; without watchers each call is one atomic load.
type tapped struct {
	bus  *tap.Bus // nil: nobody can watch
	side atomic.Pointer[side]
}

// side says who is at the other end. It is set once, when that is known.
type side struct {
	user, peer, pkg string
	closed          atomic.Bool // the end of the socket was told
}

// belongs notes who the peer is: tap.App or tap.Glasses. A package that is none
// is a stranger's text.
func (t *tapped) belongs(user, peer, pkg string) {
	if !auth.ValidName(pkg) {
		pkg = ""
	}
	t.side.Store(&side{user: user, peer: peer, pkg: pkg})
}

// watched returns the peer while somebody watches anybody, else nil.
func (t *tapped) watched() *side {
	if !t.bus.Active() {
		return nil
	}
	return t.side.Load()
}

// passed tells of a frame; fromPeer is its direction.
func (t *tapped) passed(fromPeer bool, kind websocket.MessageType, frame []byte) {
	s := t.watched()
	if s == nil {
		return
	}
	e := s.event(tap.Message, fromPeer)
	if kind != websocket.MessageText {
		e.Type, e.Size = tap.Binary, len(frame)
		frame = nil
	}
	t.bus.Report(s.user, e, frame)
}

// connected tells that the peer has proved who it is.
func (t *tapped) connected() {
	if s := t.watched(); s != nil {
		t.bus.Report(s.user, s.event(tap.Connect, true), nil)
	}
}

// refused tells that the peer is not let in, and why.
func (t *tapped) refused(why string) {
	if s := t.watched(); s != nil {
		e := s.event(tap.Refused, false)
		e.Reason = why
		t.bus.Report(s.user, e, nil)
	}
}

// ended tells once how the socket ended: the first who closes it is the one.
func (t *tapped) ended(byPeer bool, code websocket.StatusCode, reason string) {
	s := t.watched()
	if s == nil || s.closed.Swap(true) {
		return
	}
	e := s.event(tap.Close, byPeer)
	e.Code, e.Reason = int(code), reason
	t.bus.Report(s.user, e, nil)
}

// brokeOff tells of the peer's close frame or, without one, a broken connection.
func (t *tapped) brokeOff(err error) {
	if t.watched() == nil {
		return
	}
	code, reason := websocket.StatusAbnormalClosure, "connection lost"
	var frame websocket.CloseError
	if errors.As(err, &frame) {
		code, reason = frame.Code, frame.Reason
	}
	t.ended(true, code, reason)
}

func (s *side) event(kind tap.Kind, fromPeer bool) tap.Event {
	e := tap.Event{Kind: kind, From: tap.Cloud, To: s.peer, Package: s.pkg}
	if fromPeer {
		e.From, e.To = e.To, e.From
	}
	return e
}
