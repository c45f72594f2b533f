package main

import (
	"context"
	"io"
	"log/slog"
	"os"

	"glimpse/internal/config"
	"glimpse/internal/demo"
	"glimpse/internal/server"
)

type demoCommand struct {
	Verbose  bool   `short:"v" help:"Show the server's log as well."`
	Detector string `placeholder:"FILE" help:"The program glimpse-detect; else beside this one, or in the PATH."`
}

// Help tells what may be typed while it runs.
func (demoCommand) Help() string {
	return `Starts a cloud with a temporary data folder (other ports when the usual ones are
taken), glasses that play a short clip, and an app that goes live. Open the page
that it prints. Type "say stop stream" to stop it as the wearer would, "drop 5s"
to lose the network, Ctrl-C to end; nothing is left behind.

With glimpse-detect beside it (make demo builds it) a second page shows the clip's
animals in boxes. It also looks at what you publish to
rtmp://localhost:1935/live/stream, on http://localhost:8002/live/stream/detect.`
}

func (c *demoCommand) Run(ctx context.Context) error {
	log := slog.New(slog.DiscardHandler)
	if c.Verbose {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return demo.Run(ctx, demo.Config{
		Stdin: os.Stdin, Stdout: os.Stdout, Logger: log, Detector: c.Detector,
		Start: func(ctx context.Context, w demo.Wanted) (*demo.Cloud, error) { return startCloud(ctx, w, log) },
	})
}

// startCloud builds a server as the demo wants it.
func startCloud(ctx context.Context, w demo.Wanted, log *slog.Logger) (*demo.Cloud, error) {
	cfg := config.Default()
	cfg.DataDir = w.DataDir
	cfg.HTTP.Addr, cfg.RTMP.Addr, cfg.WebRTC.Addr = w.HTTPAddr, w.RTMPAddr, w.WebRTCAddr
	cfg.HTTPS.Addr, cfg.RTMPS.Addr, cfg.SRT.Addr = "", "", ""
	cfg.Apps = []config.App{{Package: w.Package, APIKey: w.APIKey, URL: w.AppURL, Permissions: w.Permissions}}
	cfg.Users = []config.User{{ID: w.User}}
	cfg.Streams = []config.Stream{{Name: w.Standing, IngestKey: w.Standing, PlaybackID: w.Standing}}
	s, err := server.New(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	token, err := server.CoreToken(cfg, w.User)
	if err != nil {
		return nil, err
	}
	return &demo.Cloud{
		URL: s.URL(), Token: token, RTMP: s.Info().RTMP.Addr, Notes: s.Info().Notices,
		Run: func(ctx context.Context) error { return s.Run(ctx, io.Discard) },
	}, nil
}
