package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"glimpse/internal/actor"
	"glimpse/protocol"
)

// Refusal is why a socket or a start was not accepted. Code and Text go to the
// peer as they are.
type Refusal struct {
	Code protocol.Code
	Text string
}

// Error implements error.
func (r *Refusal) Error() string { return string(r.Code) + ": " + r.Text }

// errEnding says that a session is going away; asking the registry again, once
// it is gone, makes a new one.
var errEnding = errors.New("session is ending")

// endedMeanwhile answers a start whose session went away.
func endedMeanwhile() error {
	return &Refusal{protocol.CodeAppNotStarted, "The wearer's session ended meanwhile"}
}

// errFailed says that a session broke while it was asked.
var errFailed = errors.New("session failed")

// ErrClosed says that the server is going down: come back to the next process.
var ErrClosed = errors.New("sessions are closed")

// Registry knows the session of every wearer and which session an app's
// sessionId belongs to. All methods are safe for concurrent use. Make it with
// New and end it with Close.
type Registry struct {
	deps Deps
	cfg  Config
	log  *slog.Logger
	ctx  context.Context // ends with Close

	cancel context.CancelFunc
	wg     sync.WaitGroup // one per running session
	saver  *saver         // nil without a store
	saving sync.WaitGroup // the saver's goroutine
	saved  context.CancelFunc

	mu       sync.Mutex
	sessions map[string]*Session // by user
	apps     map[string]binding  // by exact sessionId
	asleep   map[string][]string // packages by user, see sleep.go
	closed   bool
}

// binding says whom a sessionId belongs to. It is looked up, never split: ids
// and package names may both contain "-".
type binding struct {
	user, pkg string
}

// New returns a registry without sessions. Zero fields of cfg mean the defaults.
func New(deps Deps, cfg Config, log *slog.Logger) *Registry {
	ctx, cancel := context.WithCancel(context.Background())
	r := &Registry{
		deps: deps, cfg: cfg.withDefaults(), log: log, ctx: ctx, cancel: cancel, saved: func() {},
		sessions: make(map[string]*Session), apps: make(map[string]binding), asleep: make(map[string][]string),
	}
	if deps.Store != nil {
		saving, done := context.WithCancel(context.Background())
		r.saver, r.saved = newSaver(deps.Store, deps.Events, log), done
		r.saving.Go(func() { r.saver.run(saving) })
	}
	return r
}

// Close ends every session as a restart of the server does: all sockets are
// closed with 1012 and nobody is told that anything stopped, so that apps and
// glasses come back to the next process. It waits until every session and its
// work have ended and the store has what survives; it is idempotent.
func (r *Registry) Close() {
	r.mu.Lock()
	r.closed = true
	sessions := make([]*Session, 0, len(r.sessions))
	for _, s := range r.sessions {
		sessions = append(sessions, s)
	}
	r.mu.Unlock()
	for _, s := range sessions {
		_ = s.do(r.ctx, s.restarting) // a session that is ending anyway needs nothing
	}
	r.cancel()
	r.wg.Wait()
	r.saved()
	r.saving.Wait()
}

// get returns the user's session, making it when there is none.
func (r *Registry) get(user string) (*Session, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	if s := r.sessions[user]; s != nil {
		return s, nil
	}
	s := newSession(r, user)
	r.sessions[user] = s
	r.wg.Go(s.run)
	return s, nil
}

// lookup returns the user's session, nil when there is none.
func (r *Registry) lookup(user string) *Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sessions[user]
}

// with runs f on the user's session, made when there is none. A session that
// turns out to be ending is waited for and asked for again.
func (r *Registry) with(ctx context.Context, user string, f func(*Session) error) (*Session, error) {
	for {
		s, err := r.get(user)
		if err != nil {
			return nil, err
		}
		result := errFailed // stands when f panics
		err = s.do(ctx, func() {
			if s.ending {
				result = errEnding
				return
			}
			result = f(s)
		})
		if err == nil {
			err = result
		}
		if !errors.Is(err, errEnding) && !errors.Is(err, actor.ErrStopped) {
			return s, err
		}
		select {
		case <-s.loop.Stopped():
			r.remove(s)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// bind notes that the sessionId of user and pkg is theirs. Two pairs whose ids
// are spelt alike cannot run at the same time.
func (r *Registry) bind(user, pkg string) (sessionID string, err error) {
	sessionID = user + "-" + pkg
	want := binding{user: user, pkg: pkg}
	r.mu.Lock()
	defer r.mu.Unlock()
	if have, taken := r.apps[sessionID]; taken && have != want {
		return "", &Refusal{protocol.CodeAppNotStarted, "the session id is in use by another user's app"}
	}
	r.apps[sessionID] = want
	return sessionID, nil
}

// Owner returns the user to whom an app's exact sessionId belongs, "" when it is
// nobody's now.
func (r *Registry) Owner(sessionID string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.apps[sessionID].user
}

// remove forgets an ended session and the ids that were bound to its user. It
// is the one moment of disposal: whoever asks afterwards gets a new session.
func (r *Registry) remove(s *Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sessions[s.user] != s {
		return
	}
	delete(r.sessions, s.user)
	for id, b := range r.apps {
		if b.user == s.user {
			delete(r.apps, id)
		}
	}
}

// StartApp starts pkg for user and waits until the app has connected, at most
// the time an app has for that. It starts a session when there is none; base is
// the address under which the caller reached us (scheme http or https and
// host), used when no public address is configured and no phone is there. An
// app that runs already is left alone. Refusals are *Refusal.
func (r *Registry) StartApp(ctx context.Context, user, pkg, base string) error {
	app, ok := r.deps.Apps.App(pkg)
	if !ok {
		return &Refusal{protocol.CodePackageNotFound, fmt.Sprintf("App %s is not known", pkg)}
	}
	started := make(chan error, 1)
	s, err := r.with(ctx, user, func(s *Session) error {
		id, err := r.bind(user, pkg) // here: a session that ends takes its ids with it
		if err != nil {
			return err
		}
		s.setBase(base, false)
		s.startApp(app, id, func(err error) { started <- err })
		return nil
	})
	if err != nil {
		return err
	}
	select {
	case err := <-started:
		return err
	case <-s.loop.Stopped():
		return endedMeanwhile()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// StopApp stops pkg of user as the wearer would and waits until the app was
// told. Stopping what does not run is no error. An empty user means every
// wearer, all at the same time.
func (r *Registry) StopApp(ctx context.Context, user, pkg string) error {
	r.unwanted(user, pkg)
	if user != "" {
		return r.lookup(user).stopAndWait(ctx, pkg, protocol.ReasonUserDisabled)
	}
	r.mu.Lock()
	all := slices.Collect(maps.Values(r.sessions))
	r.mu.Unlock()
	failed := make([]error, len(all))
	var stopping sync.WaitGroup
	for i, s := range all {
		stopping.Go(func() { failed[i] = s.stopAndWait(ctx, pkg, protocol.ReasonSystemStop) })
	}
	stopping.Wait()
	return errors.Join(failed...)
}

// stopAndWait stops an app; a session that is nil runs none.
func (s *Session) stopAndWait(ctx context.Context, pkg, reason string) error {
	if s == nil {
		return nil
	}
	stopped := make(chan struct{})
	err := s.do(ctx, func() {
		s.stopApp(pkg, reason, func() { close(stopped) })
	})
	switch {
	case errors.Is(err, actor.ErrStopped): // nothing runs any more
		return nil
	case err != nil:
		return fmt.Errorf("stop app: %w", err)
	}
	select {
	case <-stopped:
	case <-s.loop.Stopped():
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// RunningApps lists the packages that are connected for user, sorted.
func (r *Registry) RunningApps(ctx context.Context, user string) []string {
	var running []string
	if s := r.lookup(user); s != nil {
		_ = s.do(ctx, func() { running, _ = s.appNames() }) // an ended session runs nothing
	}
	return running
}
