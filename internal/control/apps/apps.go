// Package apps knows the app servers: which there are, with which keys and
// permissions, and how to call their webhooks.
//
// Apps of the configuration file are read-only and trusted with private
// addresses; apps made through the API live in the store and are not. Where the
// same package is in both, the file wins.
//
// Registry is safe for concurrent use; its table's locks are not held while a
// socket is used.
package apps

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"glimpse/internal/control/auth"
	"glimpse/internal/control/store"
)

// The refusals of a registry; test with errors.Is.
var (
	ErrExists  = errors.New("app exists already")
	ErrUnknown = errors.New("app is not known")
	ErrConfig  = errors.New("app is in the configuration file and can be changed only there")
	ErrInvalid = errors.New("invalid app")
)

// App is a registered app server. Permissions is shared and read-only.
type App struct {
	Package     string
	URL         string // without "/webhook", without a slash at the end
	Permissions []string
	Created     time.Time // zero for apps of the configuration file
	FromConfig  bool      // read-only, and trusted with private addresses
	keyHash     string
}

// Allowed says whether the app has a permission, by itself or by ALL.
func (a App) Allowed(permission string) bool {
	return slices.Contains(a.Permissions, permission) || slices.Contains(a.Permissions, PermissionAll)
}

// Spec is what makes an app.
type Spec struct {
	Package     string
	APIKey      string // empty in Create: one is made
	URL         string
	Permissions []string
}

// check returns the first fault of a spec.
func (s Spec) check() error {
	if !auth.ValidName(s.Package) {
		return fmt.Errorf("%w: package %s", ErrInvalid, auth.NameRule)
	}
	for _, c := range []struct {
		what string
		err  error
	}{{"api_key", CheckAPIKey(s.APIKey)}, {"url", CheckURL(s.URL)}, {"permissions", CheckPermissions(s.Permissions)}} {
		if c.err != nil {
			return fmt.Errorf("%w: %s %w", ErrInvalid, c.what, c.err)
		}
	}
	return nil
}

// The permissions that an app may have (WIRE a.4).
const (
	PermissionAll    = "ALL"
	PermissionCamera = "CAMERA"
)

// Permissions lists every permission in the order in which they are shown.
func Permissions() []string {
	return []string{PermissionCamera, "MICROPHONE", "LOCATION", "CALENDAR", "NOTIFICATIONS", "READ_NOTIFICATIONS", PermissionAll}
}

// CheckPermissions returns a sentence for the first unknown or repeated entry.
func CheckPermissions(list []string) error {
	known := Permissions()
	for i, p := range list {
		if !slices.Contains(known, p) {
			return fmt.Errorf("must be of %s", strings.Join(known, ", "))
		}
		if slices.Contains(list[:i], p) {
			return fmt.Errorf("has %s twice", p)
		}
	}
	return nil
}

// CheckAPIKey returns a sentence when a key is too short, too long or cannot
// travel in a header. The key is not in it.
func CheckAPIKey(key string) error {
	if len(key) < auth.MinAPIKey || len(key) > auth.MaxAPIKey {
		return fmt.Errorf("must have %d to %d characters", auth.MinAPIKey, auth.MaxAPIKey)
	}
	for _, c := range []byte(key) {
		if c <= ' ' || c > '~' {
			return errors.New("must be printable ASCII without spaces")
		}
	}
	return nil
}

// CheckURL returns a sentence when a text is not the address of an app server.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || len(text) > 2048 {
		return errors.New("must be like http://127.0.0.1:7010")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("must have no user, query or fragment")
	}
	return nil
}

type storedApp struct {
	KeyHash     string    `json:"key_hash"`
	URL         string    `json:"url"`
	Permissions []string  `json:"permissions"`
	Created     time.Time `json:"created"`
}

// Registry knows every app.
type Registry struct {
	bucket *store.Bucket[storedApp]
	now    func() time.Time
	apps   store.Table[App]
}

// New reads the stored apps and lays the configured ones over them, with a
// warning where both have the same package. configured has been validated.
func New(ctx context.Context, backend store.Backend, configured []Spec, now func() time.Time, log *slog.Logger) (*Registry, error) {
	bucket, items, err := store.Load[storedApp](ctx, backend, "apps", log)
	if err != nil {
		return nil, err
	}
	r := &Registry{bucket: bucket, now: now}
	for _, item := range items {
		r.apps.Set(item.ID, App{
			Package: item.ID, URL: item.Value.URL, Permissions: item.Value.Permissions,
			Created: item.Value.Created, keyHash: item.Value.KeyHash,
		})
	}
	for _, spec := range configured {
		if err := spec.check(); err != nil {
			return nil, fmt.Errorf("configured app %q: %w", spec.Package, err)
		}
		if _, both := r.App(spec.Package); both {
			log.Warn("an app is in the store and in the configuration file; the file wins", "app", spec.Package)
		}
		r.apps.Set(spec.Package, App{
			Package: spec.Package, URL: cleanURL(spec.URL), Permissions: slices.Clone(spec.Permissions),
			FromConfig: true, keyHash: auth.HashKey(spec.APIKey),
		})
	}
	return r, nil
}

func cleanURL(u string) string { return strings.TrimRight(u, "/") }

// App returns the app of a package.
func (r *Registry) App(pkg string) (App, bool) { return r.apps.Get(pkg) }

// CheckKey says whether key is the API key of the package; it compares in
// constant time, and an unknown package takes as long as a wrong key.
func (r *Registry) CheckKey(pkg, key string) bool {
	app, ok := r.App(pkg)
	if !ok {
		app.keyHash = auth.HashKey("")
	}
	return auth.MatchKey(app.keyHash, key) && ok
}

// List returns all apps, ordered by package.
func (r *Registry) List() []App { return r.apps.List() }

// Create adds an app and returns it with its API key, which nobody can read
// again. Errors: ErrInvalid, ErrExists, ErrConfig, or the store's.
func (r *Registry) Create(ctx context.Context, spec Spec) (App, string, error) {
	if spec.APIKey == "" {
		spec.APIKey = auth.NewKey()
	}
	if err := spec.check(); err != nil {
		return App{}, "", err
	}
	r.apps.Writes.Lock()
	defer r.apps.Writes.Unlock()
	if old, ok := r.App(spec.Package); ok {
		if old.FromConfig {
			return App{}, "", ErrConfig
		}
		return App{}, "", ErrExists
	}
	app := App{
		Package: spec.Package, URL: cleanURL(spec.URL), Permissions: slices.Clone(spec.Permissions),
		Created: r.now().UTC(), keyHash: auth.HashKey(spec.APIKey),
	}
	err := r.bucket.Put(ctx, app.Package, storedApp{
		KeyHash: app.keyHash, URL: app.URL, Permissions: app.Permissions, Created: app.Created,
	})
	if err != nil {
		return App{}, "", fmt.Errorf("create app: %w", err)
	}
	r.apps.Set(app.Package, app)
	return app, spec.APIKey, nil
}

// Delete removes an app; its running sessions are the caller's to end. Errors:
// ErrUnknown, ErrConfig, or the store's.
func (r *Registry) Delete(ctx context.Context, pkg string) error {
	r.apps.Writes.Lock()
	defer r.apps.Writes.Unlock()
	app, ok := r.App(pkg)
	switch {
	case !ok:
		return ErrUnknown
	case app.FromConfig:
		return ErrConfig
	}
	if err := r.bucket.Delete(ctx, pkg); err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("delete app: %w", err)
	}
	r.apps.Remove(pkg)
	return nil
}
