// Package api is the REST interface: /api/v1 for operators (OpenAPI 3.1
// generated, RFC 9457 problems with a code), the few calls that phones and SDKs
// make, and the health probes. One file per resource.
//
// It owns no state: registries, sessions and the media plane are behind Deps.
// Handlers may run concurrently; nothing here starts a goroutine or holds a
// lock.
package api

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"glimpse/internal/control/apps"
	"glimpse/internal/control/auth"
	"glimpse/internal/control/events"
	"glimpse/internal/control/reports"
	"glimpse/internal/control/storage"
	"glimpse/internal/control/streams"
	"glimpse/internal/control/tap"
)

// maxBody bounds a request's body in bytes.
const maxBody = 64 << 10

// Deps is what the API acts on. All of it must be safe for concurrent use.
type Deps struct {
	Apps       *apps.Registry
	Users      *auth.Users
	Standing   *streams.Registry
	Media      Media
	Outputs    Outputs
	Wearers    Wearers
	Server     Server
	Tokens     Tokens
	Logins     *auth.Logins
	Throttle   *auth.Throttle // of wrong admin tokens, per address
	Storage    *storage.Storage
	AppKeys    *auth.Throttle // of wrong API keys, per address and app
	Taps       *tap.Bus
	Events     *events.Log
	Recordings Recordings
	Clips      Clips
	Reports    *reports.Store
}

// Media is the media plane as the API sees it.
type Media interface {
	// Streams returns every open stream, in no order.
	Streams() []Live
	// Stream returns one of them.
	Stream(id string) (live Live, ok bool)
	// Viewers tells who watches one of them.
	Viewers(id string) (v Viewers, ok bool)
	// EndStream ends a wearer's stream: every holder gets one "stopped". An
	// unknown id is no error.
	EndStream(ctx context.Context, id string) error
}

// Wearers is the sessions of wearers. Refusals are *session.Refusal.
type Wearers interface {
	// StartApp starts pkg for user and waits until it has connected; base is
	// the address at which the caller reached us.
	StartApp(ctx context.Context, user, pkg, base string) error
	// StopApp stops pkg for user, and for everybody when user is empty; stopping
	// what does not run is no error.
	StopApp(ctx context.Context, user, pkg string) error
	// Wearers returns the wearers who have a session, in no order.
	Wearers(ctx context.Context) []Wearer
	// RunningApps lists the packages that run for user; none without a session.
	RunningApps(ctx context.Context, user string) []string
	// DeviceState takes what user's phone says has changed of the glasses and
	// returns what is known now, as the phone reads it.
	DeviceState(ctx context.Context, user string, patch map[string]json.RawMessage) (map[string]any, error)
}

// Server is the running process.
type Server interface {
	// Info is what it serves now; cheap enough for every request.
	Info() Info
	// Ready is false while the server starts or drains.
	Ready() bool
}

// Tokens checks core tokens; a valid one makes its user. An error means that the
// token is not valid, an empty user without an error that it names nobody.
type Tokens interface {
	CoreUser(token string) (user string, err error)
}

// Config holds the API's settings.
type Config struct {
	// AdminToken is the operator's bearer token; it must not be empty.
	AdminToken string
	// PublicURL is the base of all URLs, without a path. Empty: the address at
	// which each request reached us.
	PublicURL string
}

// API serves the REST interface. Make it with New.
type API struct {
	deps Deps
	cfg  Config
	log  *slog.Logger
	spec []byte
	v1   http.Handler
}

// New returns the API. version is shown in its description.
func New(deps Deps, cfg Config, version string, log *slog.Logger) (*API, error) {
	if cfg.AdminToken == "" {
		return nil, fmt.Errorf("make api: no admin token")
	}
	a := &API{deps: deps, cfg: cfg, log: log}
	mux := http.NewServeMux()
	conf := huma.DefaultConfig("Glimpse", version)
	conf.CreateHooks = nil                           // no "$schema" links: they would repeat the Host header
	conf.DocsPath, conf.SchemasPath = "", ""         // the viewer would load a stranger's script
	conf.OpenAPIPath = ""                            // served from bytes below
	conf.Transformers = []huma.Transformer{problems} // one shape for all errors
	conf.Info.Description = "Live video from smart glasses. Errors are RFC 9457 problems with a stable code."
	conf.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"admin": {Type: "http", Scheme: "bearer", Description: "The admin token. Browsers use the cookie of POST /api/v1/login and send " + auth.CSRFHeader + " on writes."},
	}
	conf.Security = []map[string][]string{{"admin": {}}}
	h := humago.New(mux, conf)
	a.registerStreams(h)
	a.registerOutputs(h)
	a.registerViewers(h)
	a.registerReports(h)
	a.registerServer(h)
	a.registerLogin(h)
	a.registerUsers(h)
	a.registerApps(h)
	a.registerWearers(h)
	a.registerTap(h)
	a.registerEvents(h)
	a.registerRecordings(h)
	a.registerClips(h)
	describeProblem(h.OpenAPI())
	spec, err := json.Marshal(h.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("describe api: %w", err)
	}
	a.spec = spec
	mux.HandleFunc("GET /api/v1/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(a.spec) // the peer may be gone
	})
	mux.HandleFunc("/api/v1/", func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, problem(http.StatusNotFound, "NOT_FOUND", "There is no "+r.Method+" of this path; GET /api/v1/openapi.json lists what there is."))
	})
	a.v1 = a.guard(mux)
	return a, nil
}

// Mount adds every route of the API to mux. Host checks and general headers are
// the outer handler's (Hosts, Headers).
func (a *API) Mount(mux *http.ServeMux) {
	mux.Handle("/api/v1/", a.v1)
	a.mountPhone(mux)
	a.mountSDK(mux)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { probe(w, true) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { probe(w, a.deps.Server.Ready()) })
}

func probe(w http.ResponseWriter, ok bool) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if !ok {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("not ready\n")) // the peer may be gone
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

// operation is an operation of /api/v1 with what all of them have in common.
func operation(id, method, path, summary string, errs ...int) huma.Operation {
	op := huma.Operation{
		OperationID: id, Method: method, Path: "/api/v1" + path, Summary: summary,
		MaxBodyBytes: maxBody, BodyReadTimeout: 5 * time.Second,
		Errors: append([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests}, errs...),
	}
	switch method {
	case http.MethodPost:
		op.DefaultStatus = http.StatusCreated
	case http.MethodDelete:
		op.DefaultStatus = http.StatusNoContent
	}
	return op
}
