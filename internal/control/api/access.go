package api

import (
	"context"
	"net/http"
	"strings"

	"glimpse/internal/control/auth"
	"glimpse/internal/strangers"
)

// baseKey carries the base URL of a request in its context.
type baseKey struct{}

// baseOf is the address of this server as the peer of the request sees it,
// "http://host:port" without a path.
func baseOf(ctx context.Context) string {
	base, _ := ctx.Value(baseKey{}).(string)
	return base
}

// requestBase is the configured public address or the one that the peer used.
func (a *API) requestBase(r *http.Request) string {
	if a.cfg.PublicURL != "" {
		return strings.TrimRight(a.cfg.PublicURL, "/")
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// guard lets only the operator through to next, except to the routes that make
// an operator of somebody or tell nothing.
func (a *API) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		if r.ContentLength > maxBody {
			writeProblem(w, problem(http.StatusRequestEntityTooLarge, codeTooLarge, "The body is longer than 64 KiB."))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		open := r.URL.Path == "/api/v1/login" || r.URL.Path == "/api/v1/openapi.json"
		app := ""
		if !open {
			var p *Problem
			if app, p = a.caller(r); p != nil {
				if p.Status == http.StatusUnauthorized {
					h.Set("WWW-Authenticate", `Bearer realm="glimpse"`)
				}
				writeProblem(w, p)
				return
			}
			strangers.Known(r.Context())
		}
		// curl -d says "form" about any text. A form cannot do harm here: bearers
		// and the CSRF header never come from one.
		if r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" {
			r.Header.Set("Content-Type", "application/json")
		}
		ctx := context.WithValue(r.Context(), baseKey{}, a.requestBase(r))
		ctx = context.WithValue(ctx, requestKey{}, r)
		ctx = context.WithValue(ctx, appKey{}, app)
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// appKey carries the package of the app that calls; empty: the operator.
type appKey struct{}

func appOfContext(ctx context.Context) string {
	app, _ := ctx.Value(appKey{}).(string)
	return app
}

// caller is the app whose API key a request carries, where apps may call, or the
// operator (empty). Others are refused.
func (a *API) caller(r *http.Request) (app string, p *Problem) {
	token, _ := bearer(r)
	pkg, _, found := strings.Cut(token, ":")
	if _, known := a.deps.Apps.App(pkg); found && known && forApps(r.URL.Path) {
		return a.appOf(r)
	}
	return "", a.operator(r)
}

// forApps says whether apps may call a path of /api/v1.
func forApps(path string) bool {
	rest, ok := strings.CutPrefix(path, "/api/v1/streams/")
	_, rest, inside := strings.Cut(rest, "/")
	return ok && inside && (rest == "outputs" || strings.HasPrefix(rest, "outputs/")) || path == "/api/v1/outputs/check"
}

// requestKey carries the request itself, for the login's cookie and address.
type requestKey struct{}

func requestOf(ctx context.Context) *http.Request {
	r, _ := ctx.Value(requestKey{}).(*http.Request)
	return r
}

// operator returns nil for the operator's requests and the refusal for others.
// A bearer beats the cookie: a script that sends one means it.
func (a *API) operator(r *http.Request) *Problem {
	if token, ok := bearer(r); ok {
		return a.checkToken(r.RemoteAddr, token)
	}
	cookie, err := r.Cookie(auth.SessionCookie)
	if err != nil || !a.deps.Logins.Valid(cookie.Value) {
		return problem(http.StatusUnauthorized, codeUnauthorized,
			"Send the admin token (admin_token of the configuration, else the file of that name in the data folder)"+
				" as Authorization: Bearer, or log in with the dashboard link.")
	}
	write := r.Method != http.MethodGet && r.Method != http.MethodHead
	if write && r.Header.Get(auth.CSRFHeader) == "" {
		return problem(http.StatusForbidden, codeCSRF, "Writes with a cookie need the header "+auth.CSRFHeader+".")
	}
	return nil
}

// checkToken compares an admin token; wrong ones are counted per address.
func (a *API) checkToken(remote, token string) *Problem {
	if !a.deps.Throttle.Allowed(remote) {
		return problem(http.StatusTooManyRequests, codeTooMany, "Too many wrong tokens from this address; wait a minute.")
	}
	if auth.Equal(a.cfg.AdminToken, token) {
		return nil
	}
	a.deps.Throttle.Failed(remote)
	a.log.Warn("wrong admin token", "remote", remote)
	return problem(http.StatusUnauthorized, codeUnauthorized, "The admin token is wrong.")
}

// bearer takes the token out of an Authorization header; ok is false without a
// bearer.
func bearer(r *http.Request) (token string, ok bool) {
	scheme, token, found := strings.Cut(r.Header.Get("Authorization"), " ")
	if !found || !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.TrimSpace(token), true
}

// coreUser is the wearer whom a request's core token names; the sentence is the
// phone's (WIRE c.1) when there is none.
func (a *API) coreUser(r *http.Request) (user string, p *Problem) {
	token, _ := bearer(r)
	if token == "" {
		return "", problem(http.StatusUnauthorized, codeUnauthorized, auth.TextNoToken)
	}
	if !a.deps.Throttle.Allowed(r.RemoteAddr) {
		return "", problem(http.StatusTooManyRequests, codeTooMany, "Too many wrong tokens from this address; wait a minute.")
	}
	user, err := a.deps.Tokens.CoreUser(token)
	if err != nil {
		a.deps.Throttle.Failed(r.RemoteAddr)
		return "", problem(http.StatusUnauthorized, codeUnauthorized, auth.TextInvalidToken)
	}
	if user == "" {
		return "", problem(http.StatusUnauthorized, codeUnauthorized, auth.TextNoUserID)
	}
	strangers.Known(r.Context())
	return user, nil
}
