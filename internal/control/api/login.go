package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"glimpse/internal/control/auth"
)

type loginInput struct {
	Body struct {
		Token string `json:"token" minLength:"1" maxLength:"512" doc:"The one-time token of the dashboard link, or the admin token."`
	}
}

type cookieOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

func (a *API) registerLogin(h huma.API) {
	login := operation("login", http.MethodPost, "/login", "Change a one-time token for the operator's cookie")
	login.DefaultStatus, login.Security = http.StatusNoContent, []map[string][]string{}
	huma.Register(h, login, a.login)
	logout := operation("logout", http.MethodPost, "/logout", "End the cookie's session")
	logout.DefaultStatus = http.StatusNoContent
	huma.Register(h, logout, a.logout)
}

func (a *API) login(ctx context.Context, in *loginInput) (*cookieOutput, error) {
	r := requestOf(ctx)
	session, ok := "", false
	if a.deps.Throttle.Allowed(r.RemoteAddr) {
		session, ok = a.deps.Logins.Login(in.Body.Token)
	}
	if !ok {
		if p := a.checkToken(r.RemoteAddr, in.Body.Token); p != nil {
			if p.Status == http.StatusUnauthorized {
				p.Detail = "The token is unknown, used or older than 10 minutes; start-up prints a new link, and the admin token works too."
			}
			return nil, p
		}
		session = a.deps.Logins.NewSession()
	}
	a.log.Info("operator logged in", "remote", r.RemoteAddr)
	return &cookieOutput{SetCookie: *auth.Cookie(session, r.TLS != nil)}, nil
}

func (a *API) logout(ctx context.Context, _ *struct{}) (*cookieOutput, error) {
	r := requestOf(ctx)
	if cookie, err := r.Cookie(auth.SessionCookie); err == nil {
		a.deps.Logins.Logout(cookie.Value)
	}
	return &cookieOutput{SetCookie: *auth.Cookie("", r.TLS != nil)}, nil
}
