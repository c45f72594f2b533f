package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"glimpse/internal/control/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testSecret = "a-secret-of-the-tests"

var testNow = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func fixedNow() time.Time { return testNow }

// forge signs claims with any method and key.
func forge(t testing.TB, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// resign makes a token of any header, signed by HMAC whatever that says.
func resign(header, payload, secret string) string {
	signed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + payload
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// FAULTS 1, F22: one algorithm with our key, whatever a token says of itself; 60 s
// of skew.
func TestCoreUser(t *testing.T) {
	hs := func(claims jwt.MapClaims) string { return forge(t, jwt.SigningMethodHS256, []byte(testSecret), claims) }
	ago := func(d time.Duration) int64 { return testNow.Add(-d).Unix() }
	good := hs(jwt.MapClaims{"sub": "x", "email": "Me@Example.com"})
	_, rest, _ := strings.Cut(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	payload, signature, _ := strings.Cut(rest, ".")
	cases := map[string]struct {
		token string
		user  string
		err   error
	}{
		"e-mail in lower case":     {good, "me@example.com", nil},
		"subject without e-mail":   {hs(jwt.MapClaims{"sub": "User-7"}), "user-7", nil},
		"claims of the real cloud": {hs(jwt.MapClaims{"sub": "u", "email": "a@b.c", "organizations": []string{"o"}, "defaultOrg": "o"}), "a@b.c", nil},
		"not expired":              {hs(jwt.MapClaims{"sub": "u", "exp": ago(-time.Hour)}), "u", nil},
		"expired within the skew":  {hs(jwt.MapClaims{"sub": "u", "exp": ago(59 * time.Second)}), "u", nil},
		"expired":                  {hs(jwt.MapClaims{"sub": "u", "exp": ago(61 * time.Second)}), "", ErrInvalidToken},
		"valid within the skew":    {hs(jwt.MapClaims{"sub": "u", "nbf": ago(-59 * time.Second)}), "u", nil},
		"valid after the skew":     {hs(jwt.MapClaims{"sub": "u", "nbf": ago(-61 * time.Second)}), "", ErrInvalidToken},
		"secret as a public key":   {resign(`{"alg":"RS256","typ":"JWT"}`, payload, testSecret), "", ErrInvalidToken},
		"algorithm in small":       {resign(`{"alg":"hs256","typ":"JWT"}`, payload, testSecret), "", ErrInvalidToken},
		"key named by a path":      {resign(`{"alg":"HS256","kid":"../../dev/null"}`, payload, ""), "", ErrInvalidToken},
		"key at an address":        {resign(`{"alg":"HS256","jku":"http://evil.example/k","jwk":{"kty":"oct","k":""}}`, payload, ""), "", ErrInvalidToken},
		"key names do not matter":  {resign(`{"alg":"HS256","kid":"../../dev/null"}`, payload, testSecret), "me@example.com", nil},
		"not yet valid":            {hs(jwt.MapClaims{"sub": "u", "nbf": ago(-2 * time.Minute)}), "", ErrInvalidToken},
		"no id":                    {hs(jwt.MapClaims{}), "", nil},
		"id of another shape":      {hs(jwt.MapClaims{"sub": "a b"}), "", ErrInvalidToken},
		"id is a number":           {hs(jwt.MapClaims{"email": 7}), "", ErrInvalidToken},
		"id too long":              {hs(jwt.MapClaims{"sub": strings.Repeat("x", 129)}), "", ErrInvalidToken},
		"other secret":             {forge(t, jwt.SigningMethodHS256, []byte("other"), jwt.MapClaims{"sub": "u"}), "", ErrInvalidToken},
		"HS512":                    {forge(t, jwt.SigningMethodHS512, []byte(testSecret), jwt.MapClaims{"sub": "u"}), "", ErrInvalidToken},
		"alg none":                 {forge(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, jwt.MapClaims{"sub": "u"}), "", ErrInvalidToken},
		"alg none, signature kept": {none + "." + payload + "." + signature, "", ErrInvalidToken},
		"signature missing":        {strings.TrimSuffix(good, signature), "", ErrInvalidToken},
		"signature changed":        {good[:len(good)-4] + "AAAA", "", ErrInvalidToken},
		"rubbish":                  {"x.y.z", "", ErrInvalidToken},
		"empty":                    {"", "", ErrInvalidToken},
		"huge":                     {strings.Repeat("a", maxToken+1), "", ErrInvalidToken},
	}
	tokens := NewCoreTokens(testSecret, fixedNow)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			user, err := tokens.CoreUser(c.token)
			if user != c.user || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
				t.Errorf("CoreUser = %q, %v; want %q, %v", user, err, c.user, c.err)
			}
		})
	}
}

func TestSign(t *testing.T) {
	tokens := NewCoreTokens(testSecret, fixedNow)
	for id, want := range map[string]string{"Me@Example.com": "me@example.com", "user-7": "user-7"} {
		token, err := tokens.Sign(id)
		if err != nil {
			t.Fatal(err)
		}
		if user, err := tokens.CoreUser(token); user != want || err != nil {
			t.Errorf("CoreUser(Sign(%q)) = %q, %v; want %q", id, user, err, want)
		}
	}
	for _, id := range []string{"", "a b", strings.Repeat("x", 129)} {
		if token, err := tokens.Sign(id); err == nil {
			t.Errorf("Sign(%q) = %q, want an error", id, token)
		}
	}
}

func FuzzCoreUser(f *testing.F) {
	f.Add(forge(f, jwt.SigningMethodHS256, []byte(testSecret), jwt.MapClaims{"sub": "u"}))
	f.Add(forge(f, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, jwt.MapClaims{"sub": "u"}))
	f.Add("eyJhbGciOiJIUzI1NiIsImtpZCI6Ii4uLy4uIn0.e30.AA")
	f.Add("..")
	other := NewCoreTokens("another secret", fixedNow)
	f.Fuzz(func(t *testing.T, token string) {
		if user, err := other.CoreUser(token); err == nil {
			t.Errorf("a token that nobody signed names %q", user)
		}
	})
}

func TestSecret(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if got, err := Secret(dir, AdminTokenFile, "configured"); got != "configured" || err != nil {
		t.Errorf("configured: %q, %v", got, err)
	}
	var wg sync.WaitGroup
	got := make([]string, 8)
	for i := range got {
		wg.Go(func() {
			var err error
			if got[i], err = Secret(dir, AdminTokenFile, ""); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, s := range got {
		if s != got[0] || len(s) < 22 {
			t.Errorf("secrets %q: want one, of at least 128 bits", got)
			break
		}
	}
	info, err := os.Stat(filepath.Join(dir, AdminTokenFile))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o, want 0600", info.Mode().Perm())
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("files left behind: %v, %v", entries, err)
	}
	if other, err := Secret(dir, CoreSecretFile, ""); err != nil || other == got[0] {
		t.Errorf("both secrets are the same, or %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, AdminTokenFile), []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Secret(dir, AdminTokenFile, ""); err == nil || strings.Contains(err.Error(), "short\n") {
		t.Errorf("a short secret in the file: %v", err)
	}
}

func TestKeysAndIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		key, id := NewKey(), NewStreamID()
		if !ValidKey(key) || len(key) != 32 {
			t.Fatalf("key %q", key)
		}
		if !ValidKey(id) || len(id) > 11 {
			t.Fatalf("stream id %q is no valid id of at most 11 characters", id)
		}
		if seen[key] || seen[id] {
			t.Fatal("drawn twice")
		}
		seen[key], seen[id] = true, true
	}
	hash := HashKey("the-api-key")
	if !MatchKey(hash, "the-api-key") || MatchKey(hash, "the-api-kez") || MatchKey("", "") || strings.Contains(hash, "api") {
		t.Error("MatchKey")
	}
	if !Equal("a", "a") || Equal("a", "b") || Equal("", "") || Equal("a", "") {
		t.Error("Equal")
	}
}

func TestNames(t *testing.T) {
	for s, want := range map[string]bool{"a": true, "me+tag@ex-ample_1.com": true, "": false, "a b": false, "a/b": false,
		"ü": false, "a\n": false, strings.Repeat("x", 128): true, strings.Repeat("x", 129): false} {
		if ValidName(s) != want {
			t.Errorf("ValidName(%q) = %v", s, !want)
		}
	}
	for s, want := range map[string]bool{"aZ09_-": true, "": false, "a.b": false, "..": false, "a@b": false, "a\n": false} {
		if ValidKey(s) != want {
			t.Errorf("ValidKey(%q) = %v", s, !want)
		}
	}
}

func TestLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLogins(time.Now)
		token := l.NewToken()
		session, ok := l.Login(token)
		if !ok || !l.Valid(session) {
			t.Fatal("a fresh token makes no session")
		}
		if _, again := l.Login(token); again {
			t.Error("a token works twice")
		}
		if l.Valid(token) || l.Valid("") || l.Valid("x") {
			t.Error("something that is no session is valid")
		}
		late := l.NewToken()
		time.Sleep(LoginTokenLife + time.Second)
		if _, ok := l.Login(late); ok {
			t.Error("a token works after 10 minutes")
		}
		time.Sleep(SessionLife)
		if l.Valid(session) {
			t.Error("a session lives too long")
		}
		session = l.NewSession()
		l.Logout(session)
		l.Logout(session)
		if l.Valid(session) {
			t.Error("a session lives after its logout")
		}
	})
}

func TestLoginsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLogins(time.Now)
		first := l.NewToken()
		for range maxLoginTokens {
			time.Sleep(time.Second)
			l.NewToken()
		}
		if len(l.tokens) > maxLoginTokens {
			t.Errorf("%d tokens are kept", len(l.tokens))
		}
		if _, ok := l.Login(first); ok {
			t.Error("the oldest token was not the one to go")
		}
	})
}

func TestCookie(t *testing.T) {
	c := Cookie("value", true)
	if !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Value != "value" || c.MaxAge <= 0 {
		t.Errorf("cookie %v", c)
	}
	if c := Cookie("", false); c.MaxAge >= 0 || c.Secure {
		t.Errorf("deleting cookie %v", c)
	}
}

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := NewThrottle(3, 10*time.Second, time.Now)
		const bad, neighbour = "192.0.2.1:1000", "192.0.2.2:1000"
		for range 3 {
			if !th.Allowed(bad) {
				t.Fatal("refused within the burst")
			}
			th.Failed(bad)
		}
		if th.Allowed("192.0.2.1:2000") || th.Allowed("::ffff:192.0.2.1") {
			t.Error("another port, or the same address mapped, gets past")
		}
		if !th.Allowed(neighbour) {
			t.Error("a neighbour is refused")
		}
		time.Sleep(10 * time.Second)
		if !th.Allowed(bad) {
			t.Error("refused after a quiet time")
		}
		for range 3 {
			th.Failed("[2001:db8::1]:1")
		}
		if th.Allowed("[2001:db8::ffff]:1") || !th.Allowed("[2001:db8:0:1::1]:1") {
			t.Error("IPv6 counts by /64")
		}
		for range 2 * maxThrottled {
			th.Failed(NewKey())
		}
		if len(th.byKey) != maxThrottled || th.order.Len() != maxThrottled {
			t.Errorf("%d addresses are kept, want %d", len(th.byKey), maxThrottled)
		}
	})
}

func TestUsers(t *testing.T) {
	ctx := t.Context()
	backend := store.NewMemory()
	defer backend.Close()
	open := func(configured ...string) *Users {
		u, err := NewUsers(ctx, backend, configured, fixedNow, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	u := open("Config@Example.com")
	if err := u.Ensure(ctx, "New@Example.com"); err != nil {
		t.Fatal(err)
	}
	if err := u.Ensure(ctx, "new@example.com"); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Create(ctx, "new@example.com"); !errors.Is(err, ErrUserExists) {
		t.Errorf("create twice = %v", err)
	}
	if _, err := u.Create(ctx, "a b"); !errors.Is(err, ErrUserName) {
		t.Errorf("create of a bad id = %v", err)
	}
	if err := u.Delete(ctx, "config@example.com"); !errors.Is(err, ErrUserConfig) {
		t.Errorf("delete of a configured user = %v", err)
	}
	u = open() // the configured user is gone from the file
	if list := u.List(); len(list) != 1 || list[0].ID != "new@example.com" || !list[0].Created.Equal(testNow) {
		t.Errorf("users after reopening: %+v", list)
	}
	if err := u.Delete(ctx, "NEW@example.com"); err != nil {
		t.Fatal(err)
	}
	if err := u.Delete(ctx, "new@example.com"); !errors.Is(err, ErrUserUnknown) {
		t.Errorf("delete twice = %v", err)
	}
	if list := open().List(); len(list) != 0 {
		t.Errorf("users after the delete: %+v", list)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := u.Create(ended, "x"); err == nil {
		t.Error("created without the store")
	} else if _, ok := u.Get("x"); ok {
		t.Error("a user exists that the store does not have")
	}
}
