package server

import (
	"log/slog"
	"os"
	"slices"
	"strings"

	"glimpse/internal/config"
)

// Reloading is how a running server takes over changed settings.
type Reloading struct {
	// On has a value whenever the settings shall be read again (SIGHUP).
	On <-chan os.Signal
	// Load reads the settings as at the start and validates them.
	Load func() (config.Config, error)
	// Level is the level of the logger that New was given.
	Level *slog.LevelVar
}

// ReloadOn makes Run follow r; call it before Run. API keys of configured apps
// and log_level change at once, and connections that are open stay. Every other
// change is named in the log and waits for a restart; settings that cannot be
// read or are not valid change nothing.
func (s *Server) ReloadOn(r Reloading) { s.reloading = r }

// reload takes over what may change while the server runs.
func (s *Server) reload() {
	cfg, err := s.reloading.Load()
	if err != nil {
		s.log.Error("reload failed, the old settings stay", "error", err)
		return
	}
	if level := cfg.Level(); level != s.reloading.Level.Level() {
		s.log.Info("log level changes", "to", cfg.LogLevel)
		s.reloading.Level.Set(level)
	}
	keys := s.control.apps.Reload(appSpecs(cfg.Apps))
	s.log.Info("settings reloaded", "new_api_keys", strings.Join(keys, ", "))
	if names := needRestart(s.cfg, cfg); len(names) > 0 {
		s.log.Warn("changed settings need a restart", "settings", strings.Join(names, ", "))
	}
}

// needRestart names the settings of now that differ from those of the start and
// cannot change while the server runs.
func needRestart(start, now config.Config) []string {
	keyless := func(list []config.App) []config.App {
		list = slices.Clone(list)
		for i := range list {
			list[i].APIKey = ""
		}
		slices.SortFunc(list, func(a, b config.App) int { return strings.Compare(a.Package, b.Package) })
		return list
	}
	start.Apps, now.Apps = keyless(start.Apps), keyless(now.Apps)
	now.LogLevel = start.LogLevel
	return start.Changed(now)
}
