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
	Listen     string   // address of the classifier; empty: none
	Watch      []string // pages of streams to look at
	Webhook    string   // address at which a cloud may start the app for its wearers; empty: none
	Cloud      string   // the only cloud that may, see sdk.Config
	FPS        float64  // pictures a second of each stream, at most
	Confidence float32  // least score of what is told
	Package    string   // the app's name at the cloud,
	APIKey     string   // and its key
	Logger     *slog.Logger
	Stdout     io.Writer // what a person should know: addresses, states, what is missing
}

// Run detects until ctx ends, which is no error. Without the runtime's library it
// runs all the same, says so to everybody who asks, and finds nothing; a model
// that cannot be used is an error.
func Run(ctx context.Context, cfg Config) (err error) {
	cfg.Stdout = &lines{w: cfg.Stdout}
	d := &detector{cfg: cfg}
	var missing *ort.MissingError
	if d.engine, err = engine.Open(cfg.Engine); errors.As(err, &missing) {
		d.missing = missing.Advice
		fmt.Fprintf(cfg.Stdout, "No model runs here. %v\n", missing)
	} else if err != nil {
		return err
	} else {
		defer func() { err = errors.Join(err, d.engine.Close()) }()
		fmt.Fprintf(cfg.Stdout, "Model %s finds %s.\n", d.engine.Name(), list(d.engine.Labels()))
		if cfg.Engine.Model == "" {
			fmt.Fprintln(cfg.Stdout, model.About)
		}
	}
	return d.run(ctx)
}

// run runs the parts until ctx ends or one of them fails.
func (d *detector) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var jobs sync.WaitGroup
	part := func(run func(context.Context) error) {
		jobs.Go(func() {
			if err := run(ctx); err != nil {
				cancel(err)
			}
		})
	}
	if d.cfg.Listen != "" {
		part(d.classify)
	}
	if d.cfg.Webhook != "" {
		part(d.serveApp)
	}
	for _, url := range d.cfg.Watch {
		part(func(ctx context.Context) error { return d.watch(ctx, url) })
	}
	<-ctx.Done()
	jobs.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// lines lets the parts write whole lines to one terminal.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// detector is what the parts of one Run share.
type detector struct {
	cfg     Config
	engine  *engine.Engine // nil without a library
	missing string         // why there is none
}

// listen listens at the address of a flag.
func listen(address, flag string) (net.Listener, error) {
	ln, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("another program listens on %s: end it, or choose another address with %s", address, flag)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return ln, nil
}

// classify serves single pictures until ctx ends.
func (d *detector) classify(ctx context.Context) error {
	ln, err := listen(d.cfg.Listen, "--listen")
	if err != nil {
		return err
	}
	fmt.Fprintf(d.cfg.Stdout, "Classifier of single pictures: ws://%s\n", ln.Addr())
	cfg := classify.Config{Missing: d.missing, Confidence: d.cfg.Confidence, Logger: d.cfg.Logger}
	if d.engine != nil {
		cfg.Finder = d.engine
	}
	s := classify.New(cfg)
	web := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	stop := context.AfterFunc(ctx, func() { _ = web.Close() })
	defer stop()
	err = web.Serve(ln)
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
