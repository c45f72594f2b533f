package session

import (
	"context"
	"encoding/json"
	"time"

	"glimpse/internal/control/camera"
	"glimpse/internal/control/events"
	"glimpse/internal/control/subscribe"
	"glimpse/protocol"
)

// retireAfter is how long a superseded socket may linger.
const retireAfter = 5 * time.Second

// AppHello is what an app presents on its socket. The gateway has checked the
// API key already.
type AppHello struct {
	SessionID string
	Package   string
	// Mini says that the handshake shows a MiniAppServer: upgrade headers
	// or an sdkVersion.
	Mini bool
}

// AppLink is one socket of an app session. Receive and Gone are for the one
// goroutine that reads the socket.
type AppLink struct {
	session *Session
	app     *appSession
	socket  Socket
	mini    bool
}

// AttachApp connects a socket to the app session that it names. The
// acknowledgement is queued on the socket before AttachApp returns, and what is
// received afterwards is handled in order. A session that does not run is a
// *Refusal with CodeAppNotStarted; ErrClosed is for later.
func (r *Registry) AttachApp(ctx context.Context, hello AppHello, socket Socket) (*AppLink, error) {
	refused := &Refusal{protocol.CodeAppNotStarted, "App not started for this session"}
	r.mu.Lock()
	b, known := r.apps[hello.SessionID]
	s := r.sessions[b.user]
	r.mu.Unlock()
	var link *AppLink
	if known && s != nil && b.pkg == hello.Package {
		_ = s.do(ctx, func() { link = s.attach(hello, socket) }) // an ended session has no link
	}
	if link != nil {
		return link, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed { // a refusal would end the app for good
		return nil, ErrClosed
	}
	return nil, refused
}

// attach makes socket the app's. It returns nil when the app does not run.
func (s *Session) attach(hello AppHello, socket Socket) *AppLink {
	a := s.apps[hello.Package]
	if s.ending || a == nil || a.state == appStopping {
		return nil
	}
	link := &AppLink{session: s, app: a, socket: socket, mini: hello.Mini}
	if old := a.link; old != nil {
		s.retired = append(s.retired, retired{old.socket, time.Now().Add(retireAfter)})
	}
	fresh := a.asked || a.released
	if fresh { // another process: nothing that the last one said is true of it
		a.spelling, a.subs, a.missed = spelling{}, nil, nil
		s.subscriptionsChanged()
	}
	if hello.Mini {
		a.spelling.learn(dialectNew, evidenceHandshake)
	}
	a.link, a.state, a.deadline = link, appRunning, time.Time{}
	a.asked, a.released, a.initAt = false, false, time.Now()
	s.memory.dirty = true
	s.log.Info("app connected", "app", a.app.Package, "fresh", fresh)
	if fresh {
		s.appNews(a, events.AppStarted, "")
	} else {
		s.appNews(a, events.AppReconnected, "")
	}
	link.send(s.appAck(a))
	link.send(&protocol.DeviceState{
		Envelope: s.envelope(protocol.TypeDeviceState, a.id), State: s.device.state(), FullSnapshot: true,
	})
	a.answer(nil)
	s.appsChanged()
	s.step(camera.AppBack{App: a.app.Package, SameProcess: !fresh})
	return link
}

// unretire forgets a superseded socket that has closed.
func (s *Session) unretire(socket Socket) {
	for i, old := range s.retired {
		if old.socket == socket {
			s.retired = append(s.retired[:i], s.retired[i+1:]...)
			return
		}
	}
}

// appAck carries the settings under both names in use (WIRE a.2).
type appAck struct {
	protocol.AppAck
	AugmentosSettings protocol.MentraosSettings `json:"augmentosSettings"`
}

func (s *Session) appAck(a *appSession) *appAck {
	settings := protocol.MentraosSettings{Permissions: subscribe.Flags(a.app.Permissions)}
	return &appAck{
		AppAck: protocol.AppAck{
			Envelope: s.envelope(protocol.TypeAppAck, a.id),
			Settings: []json.RawMessage{}, MentraosSettings: settings,
			Capabilities: s.device.capabilities(),
		},
		AugmentosSettings: settings,
	}
}

// Receive takes one text frame from the app. Unknown types and frames that
// cannot be read are ignored: an SDK newer than this server must not be cut
// off. It waits while the session's mailbox is full; an error means that the
// session has ended.
func (l *AppLink) Receive(ctx context.Context, frame []byte) error {
	act := decodeApp(frame)
	if act == nil {
		return nil
	}
	return l.session.post(ctx, func() {
		if l.app.link == l { // a superseded socket has no say
			act(l)
		}
	})
}

// Gone tells the session that the socket has closed.
func (l *AppLink) Gone(ctx context.Context) {
	_ = l.session.post(ctx, func() { l.session.appGone(l) }) // an ended session knows
}

// send queues a message on the link's socket.
func (l *AppLink) send(message any) { l.socket.Send(l.session.encode(message)) }

// updateSubscriptions takes the app's new full set. SDKs that reconnect send an
// empty set first; it is ignored shortly after a connect.
func (l *AppLink) updateSubscriptions(m *protocol.Subscriptions) {
	s, a := l.session, l.app
	if len(m.Subscriptions) == 0 && time.Since(a.initAt) < s.reg.cfg.EmptySubscriptions {
		return
	}
	subs, refused := subscribe.Read(m.Subscriptions, a.app.Permissions)
	a.subs = subs
	if len(refused) > 0 {
		l.send(&protocol.PermissionError{
			Envelope: s.envelope(protocol.TypePermissionError, a.id),
			Message:  subscribe.TextRefused, Details: refused,
		})
	}
	a.spelling.learn(subscribedDialect(subs), evidenceSubscription)
	s.memory.dirty = true
	s.sendMissed(a) // an app that never names a dialect gets the old one
	s.subscriptionsChanged()
}

// release notes that the app gives its session to another process or cloud; it
// closes the socket itself.
func (l *AppLink) release(*protocol.Envelope) {
	l.app.released, l.session.memory.dirty = true, true
	l.session.appNews(l.app, events.AppReleased, "")
}

// pong answers a ping; never sent otherwise, since old SDKs do not know it.
func (l *AppLink) pong(*protocol.Envelope) {
	envelope := l.session.envelope(protocol.TypePong, l.app.id)
	l.send(&envelope)
}

// display passes a layout on to the glasses; without a phone it is dropped.
func (l *AppLink) display(m *protocol.Display) {
	s := l.session
	if s.phone == nil {
		return
	}
	m.Envelope = s.envelope(protocol.TypeDisplay, s.user)
	m.PackageName = l.app.app.Package
	s.phone.socket.Offer(s.encode(m)) // a flood of texts must not cost the wearer the connection
}

// wifiSetup is an app's request_wifi_setup and the phone's show_wifi_setup.
type wifiSetup struct {
	protocol.Envelope
	Reason string `json:"reason,omitempty"`
	App    string `json:"appPackageName,omitempty"`
}

// wifi asks the wearer, in the app's name, to bring the glasses into a WiFi.
func (l *AppLink) wifi(m *wifiSetup) {
	s := l.session
	if s.phone == nil || len(m.Reason) > maxDetail {
		return
	}
	m.Envelope, m.App = s.envelope("show_wifi_setup", s.user), l.app.app.Package
	s.phone.socket.Offer(s.encode(m)) // as a text: a flood must not cost the connection
}
