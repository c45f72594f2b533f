package detect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"glimpse/internal/detect/classify"
	"glimpse/internal/detect/engine"
	"glimpse/internal/detect/model"
	"glimpse/internal/detect/ort"
)

// Config of a detector. Logger and Stdout are needed.
type Config struct {
	Engine     engine.Config
	Listen     string  // address of the classifier; empty: none
	Confidence float32 // least score of what single pictures are said to show
	Logger     *slog.Logger
	Stdout     io.Writer // what a person should know: addresses, what is missing
}

// Run detects until ctx ends, which is no error. Without the runtime's library it
// runs all the same, says so to everybody who asks, and finds nothing; a model
// that cannot be used is an error.
func Run(ctx context.Context, cfg Config) (err error) {
	d := &detector{cfg: cfg}
	if d.engine, err = engine.Open(cfg.Engine); errors.Is(err, ort.ErrMissing) {
		d.missing = err.Error()
		fmt.Fprintf(cfg.Stdout, "No model runs here: %s\n", d.missing)
	} else if err != nil {
		return err
	} else {
		defer func() { err = errors.Join(err, d.engine.Close()) }()
		fmt.Fprintf(cfg.Stdout, "Model %s finds %s.\n", d.engine.Name(), list(d.engine.Labels()))
		if cfg.Engine.Model == "" {
			fmt.Fprintln(cfg.Stdout, model.About)
		}
	}
	var jobs sync.WaitGroup
	defer jobs.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if cfg.Listen != "" {
		ln, err := listen(cfg.Listen)
		if err != nil {
			return err
		}
		fmt.Fprintf(cfg.Stdout, "Classifier of single pictures: ws://%s\n", ln.Addr())
		jobs.Go(func() { cancel(d.classify(ctx, ln)) })
	}
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// detector is what the parts of one Run share.
type detector struct {
	cfg     Config
	engine  *engine.Engine // nil without a library
	missing string         // why there is none
}

func listen(address string) (net.Listener, error) {
	ln, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("another program listens on %s: end it, or choose another address with --listen", address)
	}
	if err != nil {
		return nil, fmt.Errorf("listen for the classifier: %w", err)
	}
	return ln, nil
}

// classify serves single pictures until ctx ends.
func (d *detector) classify(ctx context.Context, ln net.Listener) error {
	cfg := classify.Config{Missing: d.missing, Confidence: d.cfg.Confidence, Logger: d.cfg.Logger}
	if d.engine != nil {
		cfg.Finder = d.engine
	}
	s := classify.New(cfg)
	web := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	stop := context.AfterFunc(ctx, func() { _ = web.Close() })
	defer stop()
	err := web.Serve(ln)
	s.Close()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("classifier: %w", err)
}

// list writes names for people, not all of a thousand.
func list(names []string) string {
	const most = 12
	text := ""
	for i, n := range names {
		if i == most {
			return text + fmt.Sprintf(" and %d more", len(names)-most)
		}
		if i > 0 {
			text += ", "
		}
		text += n
	}
	return text
}
