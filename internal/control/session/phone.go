package session

import (
	"context"
	"strings"
	"time"

	"glimpse/internal/control/events"
	"glimpse/internal/control/subscribe"
	"glimpse/protocol"
)

// PhoneLink is the socket of a wearer's phone. Receive, ReceiveAudio and Gone
// are for the one goroutine that reads the socket.
type PhoneLink struct {
	session *Session
	socket  Socket
	asked   wishes // what it was asked for, last
}

// AttachPhone connects the phone of user (as auth.UserID spells it), making the
// session when there is none. base is the address under which the phone reached
// us: scheme http or https and host. The acknowledgement is queued on the socket
// before AttachPhone returns. A phone that was there is superseded: it is told
// to stop streaming, why, and its socket is closed.
func (r *Registry) AttachPhone(ctx context.Context, user, base string, socket Socket) (*PhoneLink, error) {
	var link *PhoneLink
	sleepers := r.sleepers(user)
	_, err := r.with(ctx, user, func(s *Session) error {
		link = s.attachPhone(base, socket)
		s.wake(sleepers)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return link, nil
}

func (s *Session) attachPhone(base string, socket Socket) *PhoneLink {
	link := &PhoneLink{session: s, socket: socket}
	old := s.phone
	s.log.Info("phone connected", "superseded", old != nil)
	s.news.Publish(events.Event{Type: events.PhoneConnected})
	if old != nil {
		s.superseded(old)
	}
	s.phone, s.until = link, time.Time{}
	s.setBase(base, true)
	link.greet(nil)
	s.updateDevice(func(d *device) { d.phone = true })
	s.subscriptionsChanged()
	if len(s.apps) > 0 {
		s.appsChanged()
	}
	s.deviceNow(old != nil)
	return link
}

// superseded sends an older phone away (CONTROL.md "Sessions" 4).
func (s *Session) superseded(old *PhoneLink) {
	s.news.Publish(events.Event{Type: events.PhoneSuperseded})
	if stream := s.camera.Stream; stream != nil {
		old.send(s.stopStream(stream.AppID(), stream.ID))
	}
	old.send(&protocol.ErrorMessage{
		Envelope: s.envelope(protocol.TypeConnectionError, s.user), Message: "superseded by another device",
	})
	old.socket.Close(closeNormal, "superseded by another device")
}

// greet acknowledges the connection, again whenever the phone asks.
func (l *PhoneLink) greet(*protocol.Envelope) {
	envelope := l.session.envelope(protocol.TypeConnectionAck, l.session.user)
	l.send(&envelope)
}

func (l *PhoneLink) pong(*protocol.Envelope) {
	envelope := l.session.envelope(protocol.TypePong, l.session.user)
	l.send(&envelope)
}

func (l *PhoneLink) send(message any) { l.socket.Send(l.session.encode(message)) }

// Gone tells the session that the socket has closed. The session and its apps
// live on for PhoneGrace.
func (l *PhoneLink) Gone(ctx context.Context) {
	s := l.session
	_ = s.post(ctx, func() { // an ended session knows
		if s.phone != l {
			return
		}
		s.log.Info("phone disconnected")
		s.news.Publish(events.Event{Type: events.PhoneDisconnected})
		s.phone = nil
		s.until = time.Now().Add(s.reg.cfg.PhoneGrace)
		s.updateDevice(func(d *device) { d.phone = false })
		s.deviceNow(false)
	})
}

// Receive takes one text frame from the phone; unknown and unreadable ones are
// ignored. It waits while the session's mailbox is full; an error means that
// the session has ended.
func (l *PhoneLink) Receive(ctx context.Context, frame []byte) error {
	typ := typeOf(frame)
	if typ == protocol.TypeStartApp {
		return l.startApp(ctx, frame)
	}
	act := decodePhone(typ, frame)
	if act == nil {
		return nil
	}
	return l.post(ctx, act)
}

// ReceiveAudio takes one binary frame, microphone audio, for the apps that
// listen to it. The bytes are handed over.
func (l *PhoneLink) ReceiveAudio(ctx context.Context, audio []byte) error {
	return l.post(ctx, func(l *PhoneLink) { l.session.relayAudio(audio) })
}

// post runs act on the loop unless the phone was superseded meanwhile.
func (l *PhoneLink) post(ctx context.Context, act func(*PhoneLink)) error {
	return l.session.post(ctx, func() {
		if l.session.phone == l {
			act(l)
		}
	})
}

// startApp looks the app up here, in the socket's goroutine, because the
// registry of apps may take a while.
func (l *PhoneLink) startApp(ctx context.Context, frame []byte) error {
	var m protocol.AppCommand
	s := l.session
	if Decode(frame, &m) != nil {
		return nil
	}
	app, known := s.reg.deps.Apps.App(m.PackageName)
	if !known {
		s.log.Warn("phone asked for an unknown app")
		return l.post(ctx, func(*PhoneLink) { s.appsChanged() }) // it sees that the app does not run
	}
	return l.post(ctx, func(*PhoneLink) {
		if s.ending {
			return
		}
		id, err := s.reg.bind(s.user, app.Package)
		if err != nil {
			s.log.Warn("app cannot be started", "app", app.Package, "error", err)
			s.appsChanged()
			return
		}
		s.startApp(app, id, nil)
	})
}

func (l *PhoneLink) stopApp(m *protocol.AppCommand) {
	l.session.stopApp(m.PackageName, protocol.ReasonUserDisabled, nil)
}

// decodePhone reads a frame of the given type, nil for what we do not know.
func decodePhone(typ string, frame []byte) func(*PhoneLink) {
	switch typ {
	case protocol.TypeConnectionInit:
		return decode(frame, (*PhoneLink).greet)
	case protocol.TypePing:
		return decode(frame, (*PhoneLink).pong)
	case protocol.TypeStopApp:
		return decode(frame, (*PhoneLink).stopApp)
	case protocol.TypeGlassesState:
		return relayed(frame, (*PhoneLink).glassesState)
	case protocol.TypeBattery:
		return relayed(frame, (*PhoneLink).batteryState)
	case protocol.TypeLocalTranscription, protocol.TypeTranscription:
		return decode(frame, (*PhoneLink).transcription)
	case protocol.TypeStreamStatus, protocol.TypeStreamStatusOld:
		return decode(frame, (*PhoneLink).streamStatus)
	case protocol.TypeKeepAliveAck:
		return decode(frame, (*PhoneLink).keepAliveAck)
	case typePhotoResponse:
		return decode(frame, (*PhoneLink).photoTaken)
	case subscribe.Touch:
		return relayed(frame, (*PhoneLink).touch)
	case protocol.TypeButtonPress, "head_position", subscribe.Location, "vps_coordinates", "calendar_event", subscribe.Voice,
		"phone_notification", "phone_notification_dismissed", "phone_battery_update", subscribe.Photo:
		return relayed(frame, func(l *PhoneLink, _ *protocol.Envelope, data []byte) {
			l.session.relay(typ, "", data)
		})
	}
	return nil
}

// relayed is decode for messages whose bytes go on to apps as they came.
func relayed[T any](frame []byte, act func(*PhoneLink, *T, []byte)) func(*PhoneLink) {
	return decode(frame, func(l *PhoneLink, m *T) { act(l, m, frame) })
}

// glassesState takes what the phone says of the glasses: apps see it, and it
// gates streaming.
func (l *PhoneLink) glassesState(m *protocol.GlassesState, data []byte) {
	s := l.session
	s.updateDevice(func(d *device) {
		d.connected = strings.EqualFold(m.Status, "CONNECTED")
		if m.ModelName != "" {
			d.model = m.ModelName
		}
		if m.Wifi != nil {
			d.wifi = m.Wifi
		}
		if types := known(m.StreamTypes); types != nil {
			d.streams = types
		}
	})
	s.relay(protocol.TypeGlassesState, "", data)
	s.deviceNow(false)
}

func (l *PhoneLink) batteryState(m *protocol.Battery, data []byte) {
	l.session.updateDevice(func(d *device) { d.battery = m })
	l.session.relay(protocol.TypeBattery, "", data)
}

func (l *PhoneLink) touch(m *touch, data []byte) {
	l.session.relay(subscribe.Touch, m.Gesture, data)
}

// touch is the part of a touch_event that subscriptions select by.
type touch struct {
	Gesture string `json:"gesture_name"`
}

func (l *PhoneLink) transcription(m *protocol.Transcription) {
	m.Envelope = protocol.Envelope{Type: protocol.TypeTranscription}
	if m.TranscribeLanguage == "" {
		m.TranscribeLanguage = subscribe.DefaultLanguage
	}
	l.session.relay(subscribe.Transcription, m.TranscribeLanguage, l.session.encode(m))
}
