package server

import (
	"log/slog"
	"testing"
	"time"

	"glimpse/internal/control/auth"
	"glimpse/internal/control/store"
)

// F18: a store that fails refuses no phone.
func TestCoreUserWithoutStore(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	backend := store.NewMemory()
	users, err := auth.NewUsers(t.Context(), backend, nil, time.Now, log)
	if err != nil {
		t.Fatal(err)
	}
	tokens := auth.NewCoreTokens("0123456789abcdef", time.Now)
	token, err := tokens.Sign("me@example.com")
	if err != nil {
		t.Fatal(err)
	}
	backend.Close()
	c := &coreTokens{tokens: tokens, users: users, log: log}
	if user, err := c.CoreUser(token); user != "me@example.com" || err != nil {
		t.Errorf("a valid token: %q, %v", user, err)
	}
	if _, err := c.CoreUser(token + "x"); err == nil {
		t.Error("a bad token is valid")
	}
}
