package auth

import (
	"net/http"
	"sync"
	"time"
)

// Times and bounds of the operator's browser sessions.
const (
	LoginTokenLife = 10 * time.Minute
	SessionLife    = 12 * time.Hour
	maxLoginTokens = 64
	maxSessions    = 1024
)

// SessionCookie is the name of the operator's cookie.
const SessionCookie = "glimpse_session"

// CSRFHeader must be present, with any value, on writes that a cookie
// authorises: a page of another site cannot send it without our consent.
const CSRFHeader = "X-Glimpse-CSRF"

// Logins holds the one-time tokens of dashboard links and the sessions that
// they were changed for. Both live in memory: a restart logs browsers out.
type Logins struct {
	now func() time.Time

	mu       sync.Mutex           // guards what is in the maps
	tokens   map[string]time.Time // hash of a token → its end
	sessions map[string]time.Time // hash of a cookie's value → its end
}

// NewLogins returns an empty set; now is time.Now outside tests.
func NewLogins(now func() time.Time) *Logins {
	return &Logins{now: now, tokens: map[string]time.Time{}, sessions: map[string]time.Time{}}
}

// NewToken returns a one-time token, good for 10 minutes and one Login. It
// travels in the fragment of the dashboard link, which browsers do not send.
func (l *Logins) NewToken() string { return l.add(l.tokens, maxLoginTokens, LoginTokenLife) }

// Login changes a one-time token for a session; false when the token is
// unknown, used or too old.
func (l *Logins) Login(token string) (session string, ok bool) {
	l.mu.Lock()
	end, ok := l.tokens[HashKey(token)]
	delete(l.tokens, HashKey(token))
	l.mu.Unlock()
	if !ok || l.now().After(end) {
		return "", false
	}
	return l.NewSession(), true
}

// NewSession makes a session without a one-time token, for a caller who has
// shown the admin token itself.
func (l *Logins) NewSession() string { return l.add(l.sessions, maxSessions, SessionLife) }

// Valid says whether a cookie's value is a live session.
func (l *Logins) Valid(session string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	end, ok := l.sessions[HashKey(session)]
	return ok && l.now().Before(end)
}

// Logout ends a session; an unknown one is no error.
func (l *Logins) Logout(session string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sessions, HashKey(session))
}

// add puts a new random value into a set; when the set is full, what ends first
// goes.
func (l *Logins) add(set map[string]time.Time, limit int, life time.Duration) string {
	value := NewKey()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(set) >= limit {
		first, firstEnd := "", time.Time{}
		for key, end := range set {
			if first == "" || end.Before(firstEnd) {
				first, firstEnd = key, end
			}
		}
		delete(set, first)
	}
	set[HashKey(value)] = l.now().Add(life)
	return value
}

// Cookie carries a session to the browser: not readable by scripts, not sent
// from other sites, and only over TLS when the page came so. An empty session
// makes the cookie that deletes it.
func Cookie(session string, secure bool) *http.Cookie {
	c := &http.Cookie{
		Name: SessionCookie, Value: session, Path: "/",
		HttpOnly: true, Secure: secure, SameSite: http.SameSiteStrictMode,
		MaxAge: int(SessionLife / time.Second),
	}
	if session == "" {
		c.MaxAge = -1
	}
	return c
}
