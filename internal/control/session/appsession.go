package session

import (
	"context"
	"errors"
	"slices"
	"time"

	"glimpse/internal/control/apps"
	"glimpse/internal/control/camera"
	"glimpse/internal/control/events"
	"glimpse/internal/control/subscribe"
	"glimpse/protocol"
)

// appState is where an app session is in its life.
type appState int

const (
	appRequested  appState = iota // asked by webhook, which is under way
	appConnecting                 // its server said yes; the init is awaited
	appRunning                    // its socket is here and acknowledged
	appAway                       // its socket is gone; it may come back
	appStopping                   // its server is being told
)

// appSession is one app of one wearer. It outlives its sockets. Only the
// session's loop touches it.
type appSession struct {
	app      apps.App
	id       string // sessionId, "<user>-<package>"
	state    appState
	link     *AppLink      // nil while no socket is here
	deadline time.Time     // of the state; zero means none
	starts   []func(error) // who waits for the start
	stops    []func()      // who waits for the stop

	asked    bool // we sent a webhook since the last init: the next process is a fresh one
	released bool // the app gave the session away: it is not to be brought back
	again    bool // started again while stopping
	webhooks int  // sent since the last init
	retryAt  bool // deadline is the moment of the second webhook
	giveUp   time.Time
	revived  []time.Time // resurrections lately

	spelling spelling
	subs     subscribe.Set
	photos   []string               // requestIds that the glasses have not answered, oldest first
	initAt   time.Time              // of the last init, for empty subscription sets
	missed   *protocol.DirectStatus // waits for the dialect
}

// answer tells everybody who waits for the start how it went.
func (a *appSession) answer(err error) {
	for _, done := range a.starts {
		done(err)
	}
	a.starts = nil
}

// startApp makes the app run. done, which may be nil, is called on the loop
// when the app has connected or will not.
func (s *Session) startApp(app apps.App, id string, done func(error)) {
	a := s.apps[app.Package]
	if a == nil {
		a = &appSession{app: app, id: id, state: appAway}
		s.apps[app.Package] = a
		s.memory.dirty = true
		s.needed()
	}
	if done != nil {
		a.starts = append(a.starts, done)
	}
	a.app = app // the registry may have changed
	switch a.state {
	case appRunning:
		a.answer(nil)
	case appStopping:
		a.again = true
	case appAway:
		s.request(a)
	case appRequested, appConnecting: // under way
	}
}

// request asks the app server to connect and gives it AppInit to do so.
func (s *Session) request(a *appSession) {
	a.webhooks = 0
	a.giveUp = time.Now().Add(s.reg.cfg.AppInit)
	s.sendWebhook(a)
}

func (s *Session) sendWebhook(a *appSession) {
	asked := a.asked // by an earlier one that was read
	a.state, a.asked, a.retryAt = appRequested, true, false
	s.memory.dirty = true
	a.deadline = a.giveUp
	a.webhooks++
	number, app := a.webhooks, a.app
	url := s.base.websocket()
	req := protocol.SessionRequest{
		Type: protocol.WebhookSession, SessionID: a.id, UserID: s.user, Timestamp: now(),
		MentraOSWebsocketURL: url, AugmentOSWebsocketURL: url, WebsocketURL: url,
	}
	s.log.Info("app asked to connect", "app", app.Package, "attempt", number)
	s.background(s.reg.cfg.Webhook, func(ctx context.Context) func() {
		err := s.reg.deps.Webhooks.Start(ctx, app, req)
		return func() { s.webhookDone(a, number, asked, err) }
	})
}

// background runs work in a goroutine of the session's and then what it
// returns on the loop.
func (s *Session) background(limit time.Duration, work func(context.Context) func()) {
	s.work.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, limit)
		defer cancel()
		defer func() {
			if cause := recover(); cause != nil { // ends the session, not the process
				_ = s.post(s.ctx, func() { panic(cause) })
			}
		}()
		finish := work(ctx)
		_ = s.post(s.ctx, finish) // an ended session needs no result
	})
}

// webhookDone takes a webhook's outcome. The truth is the init on the socket:
// once it has come the outcome means nothing (WIRE a.1.1).
func (s *Session) webhookDone(a *appSession, number int, asked bool, err error) {
	if s.apps[a.app.Package] != a || a.state != appRequested || number != a.webhooks {
		return
	}
	if errors.Is(err, apps.ErrUnreachable) {
		a.asked, s.memory.dirty = asked, true // nobody has read it: who comes now may be the process that was here
	}
	switch {
	case err == nil:
		a.state = appConnecting
	case errors.Is(err, apps.ErrUnreachable) && number == 1:
		a.retryAt = true
		a.deadline = earliest(a.giveUp, time.Now().Add(s.reg.cfg.WebhookPause))
		s.log.Warn("app server cannot be reached, trying once more", "app", a.app.Package, "error", err)
	case errors.Is(err, apps.ErrUnreachable):
		s.startFailed(a, "its server cannot be reached")
	default: // it was asked; it may still come
		s.log.Warn("app server did not accept the session", "app", a.app.Package, "error", err)
	}
}

// appDue does what an app's deadline asks for.
func (s *Session) appDue(a *appSession) {
	a.deadline = time.Time{}
	switch a.state {
	case appRequested, appConnecting:
		if a.retryAt {
			s.sendWebhook(a)
			return
		}
		s.startFailed(a, "it did not connect in time")
	case appAway:
		s.resurrect(a)
	case appRunning, appStopping: // have no deadline
	}
}

// startFailed ends a start that came to nothing. An app that has run before is
// tried again after a hold, as long as resurrect allows; its camera holds end.
func (s *Session) startFailed(a *appSession, why string) {
	s.log.Warn("app did not start", "app", a.app.Package, "reason", why)
	s.appNews(a, events.AppGivenUp, "It did not start: "+why)
	a.answer(&Refusal{protocol.CodeAppNotStarted, "App " + a.app.Package + " could not be started: " + why})
	s.step(camera.AppLeft{App: a.app.Package, Reason: protocol.ReasonError})
	if len(a.revived) > 0 {
		a.state = appAway
		a.deadline = time.Now().Add(s.reg.cfg.AppHold)
		s.appsChanged()
		return
	}
	s.forget(a)
}

// appGone notes that an app's socket has closed. Only the current socket
// counts: the late close of a superseded one is no disconnect.
func (s *Session) appGone(l *AppLink) {
	a := l.app
	if a.link != l {
		s.unretire(l.socket)
		return
	}
	a.link = nil
	if a.state != appRunning {
		return
	}
	a.state = appAway
	a.deadline = time.Now().Add(s.reg.cfg.AppHold)
	s.log.Info("app disconnected", "app", a.app.Package, "released", a.released)
	s.appNews(a, events.AppDisconnected, "")
	s.step(camera.AppAway{App: a.app.Package})
}

// resurrect asks an app whose socket stayed away to connect again, at most
// maxResurrections times in a window, and never one that gave its session away.
func (s *Session) resurrect(a *appSession) {
	if a.released {
		s.log.Info("app released its session", "app", a.app.Package)
		s.appNews(a, events.AppStopped, "It gave its session away")
		s.step(camera.AppLeft{App: a.app.Package, Reason: protocol.ReasonSystemStop})
		s.forget(a)
		return
	}
	now := time.Now()
	a.revived = slices.DeleteFunc(a.revived, func(at time.Time) bool {
		return now.Sub(at) >= s.reg.cfg.ResurrectionWindow
	})
	if len(a.revived) == maxResurrections {
		s.log.Warn("app keeps going away, giving up", "app", a.app.Package, "attempts", maxResurrections)
		s.appNews(a, events.AppGivenUp, "It keeps going away")
		s.step(camera.AppLeft{App: a.app.Package, Reason: protocol.ReasonError})
		s.forget(a)
		return
	}
	a.revived = append(a.revived, now)
	s.appNews(a, events.AppResurrected, "")
	s.request(a)
}

// stopApp ends an app in the order that is safe for every SDK (WIRE a.1.2):
// webhook, app_stopped, close 1000. done, which may be nil, is called on the
// loop afterwards.
func (s *Session) stopApp(pkg, reason string, done func()) {
	a := s.apps[pkg]
	if a == nil {
		if done != nil {
			done()
		}
		return
	}
	a.answer(&Refusal{protocol.CodeAppNotStarted, "App " + pkg + " was stopped"})
	a.again = false
	if done != nil {
		a.stops = append(a.stops, done)
	}
	if a.state == appStopping {
		return
	}
	a.state, a.deadline = appStopping, time.Time{}
	s.step(camera.AppLeft{App: pkg, Reason: reason})
	s.log.Info("app stopping", "app", pkg, "reason", reason)
	app := a.app
	req := protocol.StopRequest{
		Type: protocol.WebhookStop, SessionID: a.id, UserID: s.user, Reason: reason, Timestamp: now(),
	}
	s.background(s.reg.cfg.StopWebhook, func(ctx context.Context) func() {
		err := s.reg.deps.Webhooks.Stop(ctx, app, req)
		return func() { s.stopped(a, reason, err) }
	})
}

// stopped finishes a stop after the webhook, whatever came of it.
func (s *Session) stopped(a *appSession, reason string, err error) {
	if err != nil {
		s.log.Warn("app server was not told of the stop", "app", a.app.Package, "error", err)
	}
	s.appNews(a, events.AppStopped, reason)
	if a.link != nil {
		a.link.send(&protocol.AppStopped{Envelope: s.envelope(protocol.TypeAppStopped, a.id), Reason: reason})
		a.link.socket.Close(closeNormal, "App stopped")
		a.link = nil
	}
	s.forget(a)
	for _, done := range a.stops {
		done()
	}
	if a.again && !s.ending {
		s.startApp(a.app, a.id, nil)
		s.apps[a.app.Package].starts = a.starts
		return
	}
	a.answer(endedMeanwhile())
}

// appNews tells what happened to an app.
func (s *Session) appNews(a *appSession, typ events.Type, message string) {
	s.news.Publish(events.Event{Type: typ, App: a.app.Package, Message: message})
}

// forget drops an app session that is over.
func (s *Session) forget(a *appSession) {
	if a.link != nil {
		a.link.socket.Close(closeNormal, "App stopped")
		a.link = nil
	}
	delete(s.apps, a.app.Package)
	s.memory.dirty = true
	s.appsChanged()
	s.subscriptionsChanged()
	s.needed()
	s.disposeIfOver()
}

// appNames lists the packages that run and those that are starting, sorted.
func (s *Session) appNames() (running, loading []string) {
	for pkg, a := range s.apps {
		switch a.state {
		case appRunning, appAway:
			running = append(running, pkg)
		case appRequested, appConnecting:
			loading = append(loading, pkg)
		case appStopping: // as good as gone
		}
	}
	slices.Sort(running)
	slices.Sort(loading)
	return running, loading
}
