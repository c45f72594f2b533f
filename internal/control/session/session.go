package session

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"glimpse/internal/actor"
	"glimpse/internal/control/camera"
	"glimpse/internal/control/events"
	"glimpse/protocol"
)

// mailbox is how many calls may wait for one session; sockets wait beyond it.
const mailbox = 256

// Session is one wearer: who holds the camera, the phone and the apps. Its loop
// owns the fields of the second part; others reach them through do and post.
type Session struct {
	user  string
	reg   *Registry
	log   *slog.Logger
	loop  *actor.Loop
	ctx   context.Context // ends when the session is disposed of
	stop  context.CancelFunc
	work  sync.WaitGroup // the pump and webhooks under way
	timer alarm
	media *mediaBox

	// Owned by the loop.
	camera  camera.State
	phone   *PhoneLink // nil while the phone is away
	device  device
	ingests map[string]Ingest      // by streamId
	apps    map[string]*appSession // by package; a stopped app is not in it
	retired []retired
	base    address
	memory  memory
	news    *events.Source
	until   time.Time // the session ends then; zero while it is needed
	ending  bool
}

// alarm is the session's one timer.
type alarm struct {
	*time.Timer
	at time.Time // what it is set to; the loop's
}

// retired is an app socket that a newer one superseded. The app closes it
// itself; we do it after a while.
type retired struct {
	socket Socket
	at     time.Time
}

func newSession(r *Registry, user string) *Session {
	ctx, cancel := context.WithCancel(r.ctx)
	s := &Session{
		user: user, reg: r, log: r.log.With("user", user),
		loop: actor.New(mailbox), ctx: ctx, stop: cancel, media: newMediaBox(),
		camera:  camera.New(r.cfg.Camera),
		ingests: make(map[string]Ingest), apps: make(map[string]*appSession), news: r.deps.Events.Source(user),
		until: time.Now().Add(r.cfg.PhoneGrace), // in case nobody ever comes
	}
	s.timer = alarm{time.NewTimer(r.cfg.PhoneGrace), s.until}
	return s
}

// run is the session's life; it returns after everything it started.
func (s *Session) run() {
	s.log.Info("session started")
	s.news.Publish(events.Event{Type: events.WearerCame})
	s.work.Go(s.pump)
	s.loop.Run(s.ctx)
	s.timer.Stop()
	s.leave()
	for _, in := range s.ingests { // left only when the server restarts or after a panic
		in.Close("session ended")
	}
	for _, a := range s.apps {
		a.answer(endedMeanwhile())
	}
	s.work.Wait()
	s.log.Info("session ended")
	s.news.Publish(events.Event{Type: events.WearerLeft})
	s.news.Flush()
}

// do runs f on the loop and waits for it. It must not be called from the loop.
func (s *Session) do(ctx context.Context, f func()) error {
	return s.loop.Do(ctx, s.guard(f))
}

// post hands f to the loop; it waits only while the mailbox is full.
func (s *Session) post(ctx context.Context, f func()) error {
	return s.loop.Post(ctx, s.guard(f))
}

// guard wraps what runs on the loop: afterwards the timer is set for the new
// state, and a panic ends this session alone.
func (s *Session) guard(f func()) func() {
	return func() {
		defer s.recovered()
		f()
		s.settle()
	}
}

// recovered ends the session after a panic: holders get their terminal status
// if the state still allows it, and the sockets close so that both sides come
// back to a fresh session.
func (s *Session) recovered() {
	cause := recover()
	if cause == nil {
		return
	}
	s.log.Error("session panicked", "cause", cause, "stack", string(debug.Stack()))
	defer s.stop()
	defer func() {
		if again := recover(); again != nil {
			s.log.Error("session panicked while ending", "cause", again)
		}
	}()
	s.ending = true
	defer s.hangUp(closeInternal, "session failed")
	s.step(camera.SessionEnded{Reason: protocol.ReasonError})
}

// hangUp closes every socket of the session.
func (s *Session) hangUp(code int, reason string) {
	for _, a := range s.apps {
		if a.link != nil {
			a.link.socket.Close(code, reason)
		}
	}
	for _, old := range s.retired {
		old.socket.Close(code, reason)
	}
	if s.phone != nil {
		s.phone.socket.Close(code, reason)
	}
}

// restarting is how a session ends when the server does: everybody will come
// back to the next process, so nobody is told that anything stopped.
func (s *Session) restarting() {
	s.ending, s.memory.keep = true, true
	s.hangUp(closeRestart, "server restarting")
	s.stop()
}

// pump carries the timer and the news of the media to the loop until the
// session ends.
func (s *Session) pump() {
	for {
		news := s.mediaNews
		select {
		case <-s.timer.C:
			news = s.tick
		case <-s.media.wake:
		case <-s.ctx.Done():
			return
		}
		if s.post(s.ctx, news) != nil {
			return
		}
	}
}

// settle sets the timer to the nearest deadline. It runs after every call, so a
// deadline that changed is never forgotten and a stale tick finds nothing due.
func (s *Session) settle() {
	if s.ctx.Err() != nil {
		return
	}
	s.remember()
	next := earliest(s.until, camera.Next(s.camera))
	for _, a := range s.apps {
		next = earliest(next, a.deadline)
	}
	for _, old := range s.retired {
		next = earliest(next, old.at)
	}
	if next.Equal(s.timer.at) {
		return // set already, or fired and on its way
	}
	s.timer.at = next
	if next.IsZero() {
		s.timer.Stop()
		return
	}
	s.timer.Reset(max(time.Until(next), 0))
}

// earliest of two moments, zero meaning never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// tick does what is due. It comes from the timer alone.
func (s *Session) tick() {
	s.timer.at = time.Time{} // it has fired
	now := time.Now()
	due := func(at time.Time) bool { return !at.IsZero() && !at.After(now) }
	if due(camera.Next(s.camera)) {
		s.step(camera.Tick{})
	}
	for _, a := range s.apps {
		if due(a.deadline) {
			s.appDue(a)
		}
	}
	keep := s.retired[:0]
	for _, old := range s.retired {
		if due(old.at) {
			old.socket.Close(closeNormal, "superseded by a newer connection")
			continue
		}
		keep = append(keep, old)
	}
	clear(s.retired[len(keep):])
	s.retired = keep
	if due(s.until) {
		s.until = time.Time{}
		s.fallAsleep()
		s.end(protocol.ReasonSystemStop)
	}
}

// end finishes the wearer's session: streams are torn down, every app gets the
// stop order, and when the last was told the session is disposed of.
func (s *Session) end(reason string) {
	if s.ending {
		return
	}
	s.ending = true
	s.step(camera.SessionEnded{Reason: reason})
	for pkg := range s.apps {
		s.stopApp(pkg, reason, nil)
	}
	s.disposeIfOver()
}

// disposeIfOver lets go of a session that ended or that nobody needs.
func (s *Session) disposeIfOver() {
	if s.ending && len(s.apps) == 0 {
		s.hangUp(closeNormal, "session ended")
		s.leave()
		s.stop()
	}
}

// leave gives the user's name back, once the store has the last word: the next
// session of the user may begin at once. Idempotent.
func (s *Session) leave() {
	switch {
	case s.memory.keep:
	case s.memory.asleep:
		s.memory.dirty = true
		s.remember()
	case s.memory.last != nil && s.reg.saver != nil:
		s.reg.saver.put(s.user, nil)
	}
	s.memory.keep = true
	s.reg.remove(s)
}

// needed recomputes when an unused session ends: never while a phone is there,
// PhoneGrace after the phone left, and PhoneGrace after the last app of a
// session that had no phone.
func (s *Session) needed() {
	switch {
	case s.phone != nil:
		s.until = time.Time{}
	case s.base.phone: // the phone's own grace is running since it left
	case len(s.apps) > 0:
		s.until = time.Time{}
	case s.until.IsZero():
		s.until = time.Now().Add(s.reg.cfg.PhoneGrace)
	}
}
