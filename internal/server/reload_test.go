package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"glimpse/internal/config"
)

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func testConfig(t *testing.T) config.Config {
	cfg := config.Default()
	cfg.DataDir = t.TempDir()
	cfg.HTTP.Addr, cfg.RTMP.Addr, cfg.WebRTC.Addr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.SRT.Addr = "127.0.0.1:0"
	cfg.HTTPS.Addr, cfg.RTMPS.Addr = "127.0.0.1:0", "127.0.0.1:0"
	return cfg
}

// eventually polls until ok, at most 10 s.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

func TestReload(t *testing.T) {
	cfg := testConfig(t)
	cfg.Apps = []config.App{{Package: "com.one", APIKey: "first-key", URL: "http://127.0.0.1:1"}}
	log, level, hangup := &lockedBuffer{}, new(slog.LevelVar), make(chan os.Signal)
	s, err := New(t.Context(), cfg, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: level})))
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan func() (config.Config, error), 1)
	s.ReloadOn(Reloading{On: hangup, Load: func() (config.Config, error) { return (<-read)() }, Level: level})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, io.Discard) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()

	broken := errors.New("line 3: what is this")
	hangup <- syscall.SIGHUP
	read <- func() (config.Config, error) { return config.Config{}, broken }
	eventually(t, "a sentence about the broken file", func() bool {
		return strings.Contains(log.String(), "reload failed, the old settings stay") && strings.Contains(log.String(), broken.Error())
	})
	if !s.control.apps.CheckKey("com.one", "first-key") {
		t.Error("a broken file took a key away")
	}

	hangup <- syscall.SIGHUP
	read <- func() (config.Config, error) {
		changed := cfg
		changed.LogLevel, changed.HTTP.PublicURL, changed.AdminToken = "debug", "https://x.test", "another-token-of-16"
		changed.Apps = []config.App{
			{Package: "com.new", APIKey: "a-new-app", URL: "http://127.0.0.1:2"},
			{Package: "com.one", APIKey: "second-key", URL: "http://127.0.0.1:1"},
		}
		return changed, nil
	}
	eventually(t, "the sentence about a restart", func() bool {
		return strings.Contains(log.String(), `"changed settings need a restart" settings="http.public_url, admin_token, apps"`)
	})
	if s.control.apps.CheckKey("com.one", "first-key") || !s.control.apps.CheckKey("com.one", "second-key") {
		t.Error("the new key is not in force")
	}
	if level.Level() != slog.LevelDebug {
		t.Errorf("log level %v, want debug", level.Level())
	}
	if text := log.String(); strings.Contains(text, "-key") || strings.Contains(text, "another-token") || !strings.Contains(text, "new_api_keys=com.one") {
		t.Errorf("the log shows a secret or not the app:\n%s", text)
	}
}

func TestNeedRestart(t *testing.T) {
	one, two := config.App{Package: "a", APIKey: "1"}, config.App{Package: "b", APIKey: "2"}
	old, now := config.Default(), config.Default()
	old.Apps = []config.App{one, two}
	two.APIKey = "3"
	now.Apps = []config.App{two, one}
	now.LogLevel = "warn"
	if names := needRestart(old, now); names != nil {
		t.Errorf("keys, their order and the level need a restart: %v", names)
	}
	if old.Apps[0].APIKey != "1" {
		t.Error("the configuration was changed by a comparison")
	}
	now.Apps[0].URL, now.DataDir = "http://x.test", "elsewhere"
	if diff := cmp.Diff([]string{"data_dir", "apps"}, needRestart(old, now)); diff != "" {
		t.Error(diff)
	}
}

// While the server drains, probes say so and everything else says "again".
func TestDraining(t *testing.T) {
	s, err := New(t.Context(), testConfig(t), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, io.Discard) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	status := func(path string) int {
		res, err := client.Get(s.URL() + path)
		if err != nil {
			return 0
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	for path, want := range map[string]int{"/readyz": 200, "/healthz": 200, "/metrics": 200, "/app-ws": 426, "/live/none/index.m3u8": 404} {
		if got := status(path); got != want {
			t.Errorf("serving, %s: %d, want %d", path, got, want)
		}
	}
	stop()
	eventually(t, "not ready", func() bool { return !s.Ready() })
	for path, want := range map[string]int{"/readyz": 503, "/healthz": 200, "/metrics": 200, "/app-ws": 503, "/live/none/index.m3u8": 503} {
		if got := status(path); got != want {
			t.Errorf("draining, %s: %d, want %d", path, got, want)
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
