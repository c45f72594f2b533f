package detect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"glimpse/internal/detect/watch"
	"glimpse/protocol"
	"glimpse/sdk"
)

const (
	// showEvery is how often the glasses are told what is seen, at most.
	showEvery = 2 * time.Second
	// startAgain is the pause before a stream that failed is started again.
	startAgain = 5 * time.Second
)

// watcher looks at one stream. cfg has what is particular to it.
func (d *detector) watcher(ctx context.Context, cfg watch.Config) error {
	cfg.Missing, cfg.FPS, cfg.Confidence = d.missing, d.cfg.FPS, d.cfg.Confidence
	if d.engine != nil {
		cfg.Finder = d.engine
	}
	return watch.Run(ctx, cfg)
}

// watch looks at the stream whose page is at url until ctx ends.
func (d *detector) watch(ctx context.Context, url string) error {
	fmt.Fprintf(d.cfg.Stdout, "Looking at %s; see %s/detect\n", url, strings.TrimRight(url, "/"))
	err := d.watcher(ctx, watch.Config{
		Stream:  sdk.Live{URL: url, Package: d.cfg.Package, APIKey: d.cfg.APIKey},
		OnState: d.report, Logger: d.cfg.Logger.With("stream", url),
	})
	if err != nil {
		return fmt.Errorf("look at %s: %w", url, err)
	}
	return nil
}

// report tells the terminal how a stream is doing.
func (d *detector) report(s protocol.State) {
	text := "Detector: " + strings.ReplaceAll(s.State, "_", " ")
	if s.Reason != "" {
		text += ": " + s.Reason
	}
	fmt.Fprintln(d.cfg.Stdout, text)
}

// serveApp answers the cloud's webhook until ctx ends: a wearer who starts the app
// goes live, and the glasses show what the app sees.
func (d *detector) serveApp(ctx context.Context) error {
	app, err := sdk.New(sdk.Config{
		Package: d.cfg.Package, APIKey: d.cfg.APIKey, Cloud: d.cfg.Cloud, OnSession: d.onSession, Logger: d.cfg.Logger,
	})
	if err != nil {
		return err
	}
	ln, err := listen(d.cfg.Webhook, "--webhook")
	if err != nil {
		return err
	}
	fmt.Fprintf(d.cfg.Stdout, "App %s: its webhook is http://%s/webhook\n", d.cfg.Package, ln.Addr())
	mux := http.NewServeMux()
	mux.Handle("/webhook", app)
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	defer context.AfterFunc(ctx, func() { _ = web.Close() })()
	err = web.Serve(ln)
	app.Close()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("webhook: %w", err)
}

// onSession holds a managed stream while the app runs for a wearer, and starts it
// again when it fails.
func (d *detector) onSession(ctx context.Context, s *sdk.Session) error {
	for ctx.Err() == nil {
		stream, err := s.StartManaged(ctx, sdk.ManagedOptions{Quality: "720p"})
		if err == nil {
			d.cfg.Logger.Info("looking at a wearer's stream", "session", s.ID(), "stream", stream.ID(), "page", stream.URLs().Preview)
			err = d.wear(ctx, s, stream)
		}
		if err != nil && ctx.Err() == nil {
			d.cfg.Logger.Warn("the stream did not start or ended", "session", s.ID(), "err", err)
			_ = s.ShowText(ctx, "❌ "+err.Error()) // a wearer who is gone reads nothing
		}
		select {
		case <-time.After(startAgain):
		case <-ctx.Done():
		}
	}
	return nil
}

// wear looks at a wearer's stream until it ends.
func (d *detector) wear(ctx context.Context, s *sdk.Session, stream *sdk.Stream) error {
	ctx, cancel := context.WithCancel(ctx)
	g := &glasses{session: s}
	g.jobs.Go(func() {
		defer cancel()
		for range stream.Statuses(ctx) {
		}
	})
	defer g.jobs.Wait()
	defer cancel()
	return d.watcher(ctx, watch.Config{
		Stream: stream, Logger: d.cfg.Logger.With("stream", stream.ID()),
		OnDetections: func(found protocol.Detections) { g.show(ctx, found) },
	})
}

// glasses shows what is seen when that changes, not at every picture, and never
// makes pictures wait.
type glasses struct {
	session *sdk.Session
	jobs    sync.WaitGroup
	shown   string
	at      time.Time
}

func (g *glasses) show(ctx context.Context, found protocol.Detections) {
	text := summary(found.Detections)
	if text == g.shown || time.Since(g.at) < showEvery {
		return
	}
	g.shown, g.at = text, time.Now()
	g.jobs.Go(func() { _ = g.session.ShowText(ctx, text) }) // the next text comes soon
}

// summary says what is seen: "2 dogs" is "dog ×2", since names have no plural.
func summary(found []protocol.Detection) string {
	counts := map[string]int{}
	for _, f := range found {
		counts[f.ClassName]++
	}
	if len(counts) == 0 {
		return "👀 Nothing"
	}
	var names []string
	for name, n := range counts {
		if n > 1 {
			name = fmt.Sprintf("%s ×%d", name, n)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return "👀 " + strings.Join(names, ", ")
}
