package transcode

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"glimpse/internal/media/hub"
)

// The errors of the package. Their texts are safe to show to anyone.
var (
	ErrMissing = errors.New("ffmpeg is not installed (apt install ffmpeg, brew install ffmpeg)")
	ErrBusy    = errors.New("too many ffmpeg processes are running")
	ErrClosed  = errors.New("the transcoder is closed")
	// ErrNotLive is Thumbnail's answer for a stream without a picture.
	ErrNotLive = errors.New("the stream has no picture yet")
)

// Config of a Transcoder. Zero fields take the defaults.
type Config struct {
	Path        string        // of ffmpeg, or its name in PATH; default "ffmpeg"
	MaxChildren int           // running at once, of all kinds; default 64
	HangAfter   time.Duration // a child that is fed and gives nothing for so long is killed; default 3.5 s
	MemoryBytes uint64        // private memory of one child (Linux); default 512 MiB
}

func (c Config) withDefaults() Config {
	if c.Path == "" {
		c.Path = "ffmpeg"
	}
	if c.MaxChildren == 0 {
		c.MaxChildren = 64
	}
	if c.HangAfter == 0 {
		c.HangAfter = 3500 * time.Millisecond
	}
	if c.MemoryBytes == 0 {
		c.MemoryBytes = 512 << 20
	}
	return c
}

// Transcoder runs ffmpeg children within one common limit. Its methods may be
// called concurrently.
type Transcoder struct {
	cfg    Config
	log    *slog.Logger
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	launch *launcher
	shelf  shelf

	started  atomic.Uint64
	failed   atomic.Uint64
	mu       sync.Mutex
	closed   bool
	children int
	work     sync.WaitGroup // children and thumbnails in the making

	thumbMu sync.Mutex
	thumbs  map[*hub.Run]*thumb
}

// New returns a Transcoder; Close it. It starts no child and does not ask
// whether ffmpeg is there: see Available.
func New(cfg Config, log *slog.Logger) *Transcoder {
	t := &Transcoder{
		cfg: cfg.withDefaults(), log: log,
		launch: newLauncher(), thumbs: map[*hub.Run]*thumb{},
	}
	t.shelf = shelf{t: t, kinds: map[string]*readyKind{}}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

// Available returns nil when ffmpeg can be run, otherwise ErrMissing. It looks
// each time: installing ffmpeg needs no restart.
func (t *Transcoder) Available() error {
	if _, err := exec.LookPath(t.cfg.Path); err != nil {
		return ErrMissing
	}
	return nil
}

// Stats counts children.
type Stats struct {
	Children int    // at work now
	Ready    int    // started, and waiting for work
	Started  uint64 // put to work since the beginning
	Failed   uint64 // died, hung, or wrote nonsense, of those
}

// Stats returns the counts of this moment.
func (t *Transcoder) Stats() Stats {
	ready := t.shelf.count()
	t.mu.Lock()
	defer t.mu.Unlock()
	return Stats{Children: t.children, Ready: ready, Started: t.started.Load(), Failed: t.failed.Load()}
}

// Close kills all children and waits until they are gone. Calls in progress
// return ErrClosed. It is idempotent.
func (t *Transcoder) Close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.cancel()
	t.work.Wait()
	t.launch.close()
}

// begin counts a piece of work that Close waits for.
func (t *Transcoder) begin() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return ErrClosed
	}
	t.work.Add(1)
	return nil
}

// admit counts a child in, or says why not.
func (t *Transcoder) admit() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return ErrClosed
	}
	if t.children >= t.cfg.MaxChildren {
		return fmt.Errorf("%w: the limit is %d", ErrBusy, t.cfg.MaxChildren)
	}
	t.children++
	t.work.Add(1)
	return nil
}

// release counts a child out.
func (t *Transcoder) release() {
	t.mu.Lock()
	t.children--
	t.mu.Unlock()
	t.work.Done()
}
