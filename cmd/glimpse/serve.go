package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"glimpse/internal/config"
	"glimpse/internal/server"
)

// configFlags are how every command that needs the configuration finds it.
type configFlags struct {
	Config string `short:"c" type:"existingfile" placeholder:"FILE" help:"Configuration (see glimpse.example.yaml); every key also as GLIMPSE_… in the environment."`
	Data   string `placeholder:"DIR" help:"Data folder, instead of the configured one (./glimpse-data)."`
}

// load reads the configuration, lays the flags over it and checks it.
func (f configFlags) load() (config.Config, error) {
	cfg, err := config.Load(f.Config, os.Environ())
	if err != nil {
		return cfg, err
	}
	if f.Data != "" {
		cfg.DataDir = f.Data
	}
	if err := cfg.Validate(); err != nil {
		return cfg, fmt.Errorf("the configuration is not right:\n%w", err)
	}
	return cfg, nil
}

type serveCommand struct {
	configFlags
	Check   bool `help:"Check the configuration and exit."`
	JSONLog bool `name:"json-log" help:"Write logs as JSON lines."`
}

func (c *serveCommand) Run(ctx context.Context) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	if c.Check {
		fmt.Println("The configuration is right.")
		return nil
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP) // never comes on Windows
	defer signal.Stop(hangup)
	level := new(slog.LevelVar)
	level.Set(cfg.Level())
	s, err := server.New(ctx, cfg, logger(level, c.JSONLog))
	if err != nil {
		return err
	}
	s.ReloadOn(server.Reloading{On: hangup, Load: c.load, Level: level})
	return s.Run(ctx, os.Stdout)
}

// Help tells what may be changed while it runs.
func (serveCommand) Help() string {
	return `SIGTERM (or Ctrl-C) drains and ends it: apps and glasses come back to the next
process. SIGHUP reads the configuration again: API keys and log_level change at
once, other changes are named in the log and need a restart.`
}

// logger writes to standard error, so that standard output carries only what
// was asked for.
func logger(level slog.Leveler, asJSON bool) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if asJSON {
		return slog.New(slog.NewJSONHandler(os.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, options))
}
