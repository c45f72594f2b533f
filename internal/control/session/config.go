package session

import (
	"context"
	"strings"
	"time"

	"glimpse/internal/control/apps"
	"glimpse/internal/control/camera"
	"glimpse/internal/control/events"
	"glimpse/protocol"
)

// Config holds the times of sessions (CONTROL.md "Times"). Zero fields mean the
// defaults named here.
type Config struct {
	// PublicURL is the configured public address, "https://host[:port]". Empty
	// means the address on which the wearer's phone (or, without one, who
	// started the app) reached us.
	PublicURL string

	AppInit            time.Duration // from a start to the app's init: 12 s
	AppHold            time.Duration // an app's socket may be away that long: 8 s
	PhoneGrace         time.Duration // a session outlives its phone's socket by: 60 s
	Webhook            time.Duration // of a session_request: 10 s
	StopWebhook        time.Duration // of a stop_request: 5 s
	WebhookPause       time.Duration // before the second session_request: 1 s
	EmptySubscriptions time.Duration // an empty set is ignored after a connect: 8 s
	ResurrectionWindow time.Duration // in which at most three resurrections happen: 5 min

	Camera camera.Times // zero means camera.DefaultTimes
}

const maxResurrections = 3 // in one ResurrectionWindow

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&c.AppInit, 12*time.Second)
	set(&c.AppHold, 8*time.Second)
	set(&c.PhoneGrace, 60*time.Second)
	set(&c.Webhook, 10*time.Second)
	set(&c.StopWebhook, 5*time.Second)
	set(&c.WebhookPause, time.Second)
	set(&c.EmptySubscriptions, 8*time.Second)
	set(&c.ResurrectionWindow, 5*time.Minute)
	if c.Camera == (camera.Times{}) {
		c.Camera = camera.DefaultTimes()
	}
	return c
}

// Close codes and what they make SDKs do (WIRE a.8).
const (
	closeNormal   = 1000 // final for AppServer apps
	closeInternal = 1011 // everybody reconnects
	closeRestart  = 1012 // everybody reconnects
)

// Apps is the registry of apps, as *apps.Registry is one. Its method may take a
// while: it is called from goroutines of sockets and requests, never from a
// session's loop.
type Apps interface {
	App(pkg string) (apps.App, bool)
}

// Webhooks calls app servers, as *apps.Webhooks does. A nil error means that
// the server answered 2xx; one that wraps apps.ErrUnreachable, that it cannot
// have read the webhook, and only then is a second session_request sent. The
// context carries the limit.
type Webhooks interface {
	Start(ctx context.Context, app apps.App, req protocol.SessionRequest) error
	Stop(ctx context.Context, app apps.App, req protocol.StopRequest) error
}

// Socket is the sending half of a websocket. No method waits, and all of them
// may be called after Close, which ends the socket once what waits is written.
// Bytes are handed over. A peer that reads too slowly for Send loses the socket.
type Socket interface {
	Send(frame []byte)
	// Offer is Send for what may be lost: it drops the frame when much waits.
	Offer(frame []byte)
	SendBinary(frame []byte)
	Close(code int, reason string)
}

// Deps are what sessions act on.
type Deps struct {
	Apps     Apps
	Webhooks Webhooks
	Streams  Streams
	// Store keeps what survives a restart; nil means that nothing does.
	Store Store
	// Events takes what happens to wearers; nil means that nobody asks.
	Events *events.Log
}

// address is where the world reaches this server, as one wearer sees it.
type address struct {
	base  string // "http://host:port" or https, without a path
	phone bool   // it came from the wearer's phone, which has been here
}

// setBase notes the address under which somebody reached us. A phone's word
// counts more than anybody else's; the configured address beats both.
func (s *Session) setBase(base string, phone bool) {
	if public := s.reg.cfg.PublicURL; public != "" {
		base = public
	} else if s.base.phone && !phone {
		return
	}
	s.memory.dirty = true
	s.base = address{base: strings.TrimSuffix(base, "/"), phone: phone || s.base.phone}
}

// websocket is the URL for apps. SDKs cut exactly "/app-ws" off its end to get
// their HTTP base.
func (a address) websocket() string {
	return "ws" + strings.TrimPrefix(a.base, "http") + "/app-ws"
}
