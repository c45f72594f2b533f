package server

import (
	"os"
	"path/filepath"
	"testing"

	"glimpse/internal/config"
	"glimpse/internal/control/auth"
)

func TestLocalURL(t *testing.T) {
	for addr, want := range map[string]string{
		":8002": "http://localhost:8002", "0.0.0.0:80": "http://localhost:80", "[::]:81": "http://localhost:81",
		"127.0.0.1:82": "http://127.0.0.1:82", "[::1]:83": "http://[::1]:83", "nonsense": "http://nonsense",
	} {
		if got := LocalURL(config.Config{HTTP: config.HTTP{Addr: addr}}); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
	if got := LocalURL(config.Config{HTTP: config.HTTP{Addr: ":1", PublicURL: "https://x"}}); got != "https://x" {
		t.Errorf("public: %s", got)
	}
}

// Asking for the token makes neither a token nor a folder.
func TestAdminToken(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if _, err := AdminToken(config.Config{DataDir: dir}); err == nil {
		t.Error("a token where there is none")
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the data folder was made")
	}
	want, err := auth.Secret(dir, auth.AdminTokenFile, "")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := AdminToken(config.Config{DataDir: dir}); got != want || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := AdminToken(config.Config{DataDir: dir, AdminToken: "configured"}); got != "configured" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
