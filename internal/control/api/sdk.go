package api

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"glimpse/internal/control/auth"
	"glimpse/internal/control/session"
	"glimpse/internal/strangers"
	"glimpse/protocol"
)

// The calls of SDKs (WIRE b.1), which read {"success": …} in every answer.

// Bounds of one call of an SDK. The body of the fullest storage, with the
// escapes of JSON, fits.
const (
	maxStorageBody = 2 << 20
	sdkTime        = 10 * time.Second
)

// failure is a refusal as SDKs and phones read it.
type failure struct {
	Success bool          `json:"success"` // always false
	Code    protocol.Code `json:"code"`
	Message string        `json:"message"`
}

// writeFailure answers with p in the shape for SDKs and phones.
func writeFailure(w http.ResponseWriter, p *Problem) {
	writeJSON(w, p.Status, failure{Code: p.Code, Message: p.Detail})
}

// success is the answer to a call that has nothing else to say.
type success struct {
	Success bool `json:"success"`
}

// appOf is the app whose key a request carries as "Bearer package:key". Whoever
// tries too many wrong keys for one app from one address is put off unchecked.
func (a *API) appOf(r *http.Request) (pkg string, p *Problem) {
	token, _ := bearer(r)
	return a.checkApp(r, token)
}

// checkApp is the app of a "package:key".
func (a *API) checkApp(r *http.Request, token string) (pkg string, p *Problem) {
	pkg, key, found := strings.Cut(token, ":")
	if !found || !auth.ValidName(pkg) {
		return "", problem(http.StatusUnauthorized, codeUnauthorized, "Send Authorization: Bearer package:API key.")
	}
	from := r.RemoteAddr
	if host, _, err := net.SplitHostPort(from); err == nil {
		from = host
	}
	from += " " + pkg // apps behind one address do not hurt each other
	if !a.deps.AppKeys.Allowed(from) {
		return "", problem(http.StatusTooManyRequests, codeTooMany, "Too many wrong API keys from this address; wait a minute.")
	}
	if !a.deps.Apps.CheckKey(pkg, key) {
		a.deps.AppKeys.Failed(from)
		a.log.Warn("wrong API key", "remote", r.RemoteAddr)
		return "", problem(http.StatusUnauthorized, protocol.CodeInvalidAPIKey, "Invalid API key")
	}
	strangers.Known(r.Context())
	return pkg, nil
}

// storageCall is one call of an app about its storage for a wearer.
type storageCall func(ctx context.Context, r *http.Request, pkg, user string) (answer any, err error)

// appStorage authenticates a storage call and answers with what it returns.
func (a *API) appStorage(call storageCall) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		pkg, p := a.appOf(r)
		if p != nil {
			writeFailure(w, p)
			return
		}
		user, known := a.deps.Users.Get(r.PathValue("user"))
		if !known { // apps may not fill the store with names of their own
			writeFailure(w, problem(http.StatusNotFound, codeUserNotFound, "The user is not known."))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxStorageBody)
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(sdkTime)) // a recorder has none
		ctx, cancel := context.WithTimeout(r.Context(), sdkTime)
		defer cancel()
		answer, err := call(ctx, r, pkg, user.ID)
		if err != nil {
			writeFailure(w, refusal(a.log, err))
			return
		}
		writeJSON(w, http.StatusOK, answer)
	}
}

// mountSDK adds the calls of SDKs.
func (a *API) mountSDK(mux *http.ServeMux) {
	const all, one = "/api/sdk/simple-storage/{user}", "/api/sdk/simple-storage/{user}/{key}"
	mux.HandleFunc("GET "+all, a.appStorage(a.readStorage))
	mux.HandleFunc("PUT "+all, a.appStorage(a.writeStorage))
	mux.HandleFunc("DELETE "+all, a.appStorage(func(ctx context.Context, _ *http.Request, pkg, user string) (any, error) {
		return success{true}, a.deps.Storage.Clear(ctx, pkg, user)
	}))
	mux.HandleFunc("GET "+one, a.appStorage(a.readStored))
	mux.HandleFunc("DELETE "+one, a.appStorage(func(ctx context.Context, r *http.Request, pkg, user string) (any, error) {
		return success{true}, a.deps.Storage.Delete(ctx, pkg, user, r.PathValue("key"))
	}))
	mux.HandleFunc("GET /appsettings/user/{pkg}", a.appSettings)
	mux.HandleFunc("GET /api/public/permissions/{pkg}", a.permissions)
}

func (a *API) readStorage(ctx context.Context, _ *http.Request, pkg, user string) (any, error) {
	data, err := a.deps.Storage.All(ctx, pkg, user)
	if err != nil {
		return nil, err
	}
	return map[string]any{"success": true, "data": data}, nil
}

// readStored answers with one value. SDKs read everything at once; this is for
// programs that do not.
func (a *API) readStored(ctx context.Context, r *http.Request, pkg, user string) (any, error) {
	data, err := a.deps.Storage.All(ctx, pkg, user)
	if err != nil {
		return nil, err
	}
	value, found := data[r.PathValue("key")]
	if !found {
		return nil, problem(http.StatusNotFound, codeNotFound, "There is no such key.")
	}
	return map[string]any{"success": true, "data": value}, nil
}

func (a *API) writeStorage(ctx context.Context, r *http.Request, pkg, user string) (any, error) {
	raw, err := io.ReadAll(r.Body)
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		return nil, problem(http.StatusRequestEntityTooLarge, codeTooLarge, "The body is longer than 2 MiB.")
	}
	var body struct {
		Data map[string]string `json:"data"`
	}
	if err != nil || session.Decode(raw, &body) != nil || body.Data == nil {
		return nil, problem(http.StatusBadRequest, codeInvalid, `Send {"data": {"key": "value", …}} with strings as values.`)
	}
	return success{true}, a.deps.Storage.Merge(ctx, pkg, user, body.Data)
}

// forget removes what apps stored for users: of a wearer or an app that goes
// away. What cannot be removed is logged; it is in nobody's way.
func (a *API) forget(ctx context.Context, pkgs, users []string) {
	for _, pkg := range pkgs {
		for _, user := range users {
			if err := a.deps.Storage.Clear(ctx, pkg, user); err != nil {
				a.log.Warn("stored data of an app cannot be removed", "app", pkg, "user", user, "err", err)
			}
		}
	}
}

// appSettings answers settings.fetch(). Apps have no settings here, so the
// answer tells nothing and the session in the header is not looked at.
func (a *API) appSettings(w http.ResponseWriter, r *http.Request) {
	if _, ok := a.deps.Apps.App(r.PathValue("pkg")); !ok {
		writeFailure(w, problem(http.StatusNotFound, protocol.CodePackageNotFound, "The app is not known."))
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"success": true, "settings": []any{}})
}
