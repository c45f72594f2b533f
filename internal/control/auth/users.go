package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"glimpse/internal/control/store"
)

// The refusals of a registry of users.
var (
	ErrUserName    = errors.New("user id " + NameRule)
	ErrUserExists  = errors.New("user exists already")
	ErrUserUnknown = errors.New("user is not known")
	ErrUserConfig  = errors.New("user is in the configuration file and can be changed only there")
)

// User is a wearer.
type User struct {
	ID         string    // in the spelling of UserID
	Created    time.Time // zero for users of the configuration file
	FromConfig bool      // read-only here
}

type storedUser struct {
	Created time.Time `json:"created"`
}

// Users knows every wearer: those of the configuration file and those in the
// store. It is safe for concurrent use. A write is in the store before it
// returns.
type Users struct {
	bucket *store.Bucket[storedUser]
	now    func() time.Time
	users  store.Table[User]
}

// NewUsers reads the stored users and lays the configured ids over them.
func NewUsers(ctx context.Context, backend store.Backend, configured []string, now func() time.Time, log *slog.Logger) (*Users, error) {
	bucket, items, err := store.Load[storedUser](ctx, backend, "users", log)
	if err != nil {
		return nil, err
	}
	u := &Users{bucket: bucket, now: now}
	for _, item := range items {
		u.users.Set(item.ID, User{ID: item.ID, Created: item.Value.Created})
	}
	for _, id := range configured {
		id = UserID(id)
		u.users.Set(id, User{ID: id, FromConfig: true}) // also stored ones: that they came first harms nobody
	}
	return u, nil
}

// List returns all users, ordered by id.
func (u *Users) List() []User { return u.users.List() }

// Get returns the user with this id, in any spelling.
func (u *Users) Get(id string) (User, bool) { return u.users.Get(UserID(id)) }

// Create adds a user. Errors: ErrUserName, ErrUserExists, or the store's.
func (u *Users) Create(ctx context.Context, id string) (User, error) {
	id = UserID(id)
	if !ValidName(id) {
		return User{}, ErrUserName
	}
	u.users.Writes.Lock()
	defer u.users.Writes.Unlock()
	if user, ok := u.Get(id); ok {
		return user, ErrUserExists
	}
	user := User{ID: id, Created: u.now().UTC()}
	if err := u.bucket.Put(ctx, id, storedUser{Created: user.Created}); err != nil {
		return User{}, fmt.Errorf("create user: %w", err)
	}
	u.users.Set(id, user)
	return user, nil
}

// Ensure adds the user of a valid core token unless it is known.
func (u *Users) Ensure(ctx context.Context, id string) error {
	if _, ok := u.Get(id); ok {
		return nil
	}
	if _, err := u.Create(ctx, id); err != nil && !errors.Is(err, ErrUserExists) {
		return err
	}
	return nil
}

// Delete removes a user. A core token of the user stays valid and makes the
// user again: tokens end only with the secret. Errors: ErrUserUnknown,
// ErrUserConfig, or the store's.
func (u *Users) Delete(ctx context.Context, id string) error {
	u.users.Writes.Lock()
	defer u.users.Writes.Unlock()
	user, ok := u.Get(id)
	switch {
	case !ok:
		return ErrUserUnknown
	case user.FromConfig:
		return ErrUserConfig
	}
	if err := u.bucket.Delete(ctx, user.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("delete user: %w", err)
	}
	u.users.Remove(user.ID)
	return nil
}
