package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"glimpse/protocol"
)

const maxWebhook = 64 << 10 // bytes of a webhook's body

// Config describes an app. Package, APIKey and OnSession are needed.
type Config struct {
	// Package and APIKey are those under which the cloud knows the app.
	Package, APIKey string
	// OnSession runs once for each wearer, in a goroutine of its own, for as
	// long as the app runs for that wearer. ctx ends when the session does, and
	// its cause says why. When it returns earlier, the app is done for this
	// wearer: its streams are stopped and the cloud is told not to start it
	// again. An error that it returns is logged.
	OnSession func(ctx context.Context, s *Session) error
	// Cloud is the only server to connect to, for example
	// "https://cloud.example.com"; requests that name another are refused.
	// Empty accepts any: see the package comment.
	Cloud string
	// Logger is slog.Default() when nil.
	Logger *slog.Logger
	// HTTPClient makes the connections; http.DefaultClient when nil.
	HTTPClient *http.Client
}

// App is an app server: an http.Handler for the cloud's webhook, whatever the
// path it is mounted at ("/webhook" by custom).
type App struct {
	cfg   Config
	cloud *url.URL // nil: any
	log   *slog.Logger

	life context.Context
	quit context.CancelCauseFunc
	jobs sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	sessions map[string]*Session
}

var packageName = regexp.MustCompile(`^[A-Za-z0-9_.@+-]{1,128}$`)

// New returns an app that waits for its webhook to be called.
func New(cfg Config) (*App, error) {
	switch {
	case !packageName.MatchString(cfg.Package):
		return nil, errors.New("sdk: Config.Package must be 1 to 128 characters of A-Z a-z 0-9 _ . @ + -")
	case cfg.APIKey == "":
		return nil, errors.New("sdk: Config.APIKey is empty")
	case cfg.OnSession == nil:
		return nil, errors.New("sdk: Config.OnSession is nil")
	}
	a := &App{cfg: cfg, log: cfg.Logger, sessions: make(map[string]*Session)}
	if a.log == nil {
		a.log = slog.Default()
	}
	if a.cfg.HTTPClient == nil {
		a.cfg.HTTPClient = http.DefaultClient
	}
	a.log = a.log.With("package", cfg.Package)
	if cfg.Cloud != "" {
		u, err := url.Parse(cfg.Cloud)
		if err != nil || u.Host == "" {
			return nil, errors.New(`sdk: Config.Cloud is not a URL like "http://localhost:8002"`)
		}
		a.cloud = u
	}
	a.life, a.quit = context.WithCancelCause(context.Background())
	return a, nil
}

// Close ends all sessions, tells the cloud not to bring them back, and waits
// until every OnSession has returned. It may be called more than once.
func (a *App) Close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.quit(&Error{Code: protocol.CodeAppNotStarted, Message: "the app server is shutting down"})
	a.jobs.Wait()
}

// ServeHTTP answers the cloud's webhook: a session_request once the websocket
// is connected and acknowledged, a stop_request at once.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		answer(w, http.StatusMethodNotAllowed, "POST only")
		return
	}
	var m struct {
		protocol.SessionRequest
		Reason string `json:"reason"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxWebhook)).Decode(&m); err != nil {
		answer(w, http.StatusBadRequest, "not a webhook request")
		return
	}
	switch m.Type {
	case protocol.WebhookSession:
		if err := a.start(r.Context(), &m.SessionRequest); err != nil {
			a.log.Warn("session did not start", "session", m.SessionID, "err", err)
			answer(w, http.StatusInternalServerError, "Failed to connect")
			return
		}
		answer(w, http.StatusOK, "")
	case protocol.WebhookStop:
		if s := a.session(m.SessionID); s != nil {
			s.end(&Error{Code: protocol.CodeAppNotStarted, Message: "session stopped: " + m.Reason})
		}
		answer(w, http.StatusOK, "")
	default:
		answer(w, http.StatusBadRequest, "unknown webhook type")
	}
}

func answer(w http.ResponseWriter, code int, message string) {
	status := "success"
	if code != http.StatusOK {
		status = "error"
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(struct {
		Status  string `json:"status"`
		Message string `json:"message,omitempty"`
	}{status, message})
}

func (a *App) session(id string) *Session {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sessions[id]
}

// start makes a session and waits until it is acknowledged. A session of the
// same id is over: the cloud asked anew because it lost it.
func (a *App) start(ctx context.Context, m *protocol.SessionRequest) error {
	address, err := a.address(m)
	if err != nil {
		return err
	}
	if m.SessionID == "" || m.UserID == "" {
		return errors.New("the request names no session or no user")
	}
	s := newSession(a, m, address)
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return errors.New("the app server is shutting down")
	}
	former := a.sessions[m.SessionID]
	a.sessions[m.SessionID] = s
	a.jobs.Go(func() {
		s.run(former)
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.sessions[s.id] == s {
			delete(a.sessions, s.id)
		}
	})
	a.mu.Unlock()
	select {
	case err := <-s.begun:
		return err
	case <-ctx.Done():
		s.end(ctx.Err())
		return ctx.Err()
	}
}

// address picks the websocket address out of a request: newer clouds' field
// first, as the newer SDKs do.
func (a *App) address(m *protocol.SessionRequest) (string, error) {
	for _, s := range []string{m.WebsocketURL, m.MentraOSWebsocketURL, m.AugmentOSWebsocketURL} {
		if s == "" {
			continue
		}
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" {
			return "", errors.New("the request's websocket URL is not one")
		}
		if a.cloud != nil {
			secure := a.cloud.Scheme == "https" || a.cloud.Scheme == "wss"
			if !strings.EqualFold(u.Host, a.cloud.Host) || secure && u.Scheme != "wss" {
				return "", errors.New("the request names another server than Config.Cloud: " + u.Host)
			}
		}
		return s, nil
	}
	return "", errors.New("the request has no websocket URL")
}
