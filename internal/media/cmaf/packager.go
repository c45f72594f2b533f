package cmaf

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

// Config bounds what is kept. Zero fields take the defaults.
type Config struct {
	Window      time.Duration // closed segments kept and listed per stream; default 60 s
	StreamBytes int64         // kept per stream; default 96 MiB, then its window shrinks
	NodeBytes   int64         // kept in all; default 1 GiB, then the windows of the largest streams shrink
}

func (c Config) withDefaults() Config {
	if c.Window == 0 {
		c.Window = time.Minute
	}
	if c.StreamBytes == 0 {
		c.StreamBytes = 96 << 20
	}
	if c.NodeBytes == 0 {
		c.NodeBytes = 1 << 30
	}
	return c
}

// Stats of a packager.
type Stats struct {
	Stores int    // runs being packaged
	Bytes  int64  // in all windows
	Shrunk uint64 // segments dropped before their time, for lack of room
	// Dropped frames: sound that came after silence took its place, whose
	// parameters were not in force yet, or that ran away from a picture that
	// stopped; pictures of a segment that grew too large.
	Dropped uint64
}

// Packager makes a Store for every run of a hub. Its methods may be called
// concurrently.
type Packager struct {
	cfg    Config
	log    *slog.Logger
	budget budget

	mu     sync.Mutex
	stores map[*hub.Run]*Store
}

// New returns a packager; give its Output to the hub.
func New(cfg Config, log *slog.Logger) *Packager {
	cfg = cfg.withDefaults()
	p := &Packager{cfg: cfg, log: log, stores: map[*hub.Run]*Store{}}
	p.budget.limit = cfg.NodeBytes
	return p
}

// Store returns the store of a run: at once, its media follows (Store.Ready).
// Nil when the run is nil or over.
func (p *Packager) Store(run *hub.Run) *Store {
	if run == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.stores[run]; s != nil {
		return s
	}
	select {
	case <-run.Done():
		return nil
	default:
	}
	s := newStore(prefix())
	s.form = run.Steady()
	s.audience.need = func() func() { return run.Need(s.form) }
	s.audience.converted = func() bool {
		converted, problem := run.Converted(s.form)
		return converted && problem == nil
	}
	p.stores[run] = s
	return s
}

// Stats returns the counters.
func (p *Packager) Stats() Stats {
	return Stats{
		Stores: int(p.budget.stores.Load()), Bytes: p.budget.used.Load(),
		Shrunk: p.budget.shrunk.Load(), Dropped: p.budget.dropped.Load(),
	}
}

// errVideo says that a stream's pictures cannot be carried.
var errVideo = errors.New("pictures of this codec cannot be segmented")

// Output packages one run until it is over or ctx ends: a hub.Output.
func (p *Packager) Output(ctx context.Context, run *hub.Run) {
	store := p.Store(run)
	if store == nil {
		return
	}
	log := p.log.With("stream", run.Stream().ID())
	m := &muxer{
		store: store, budget: &p.budget, window: p.cfg.Window, bytes: p.cfg.StreamBytes, now: time.Now,
	}
	warned := false
	m.early = func(n int) {
		if !warned {
			log.Warn("the window is shortened: too many bytes", "segments", n)
			warned = true
		}
	}
	p.budget.stores.Add(1)
	defer func() {
		store.end()
		store.audience.rest(time.Now().Add(unwatched))
		p.mu.Lock()
		delete(p.stores, run)
		p.mu.Unlock()
		p.budget.add(-m.video.bytes - m.audio.bytes)
		p.budget.stores.Add(-1)
	}()
	if err := feed(ctx, run, m); err != nil {
		log.Warn("the stream cannot be packaged for HLS", "error", err)
		<-ctx.Done() // the empty store stands for the run until its end
	}
}

// feed gives a run's frames to m. The end of the run or of ctx is no error. A
// panic ends this run's packaging only.
func feed(ctx context.Context, run *hub.Run, m *muxer) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	rd := run.Subscribe(hub.ReaderOptions{Sound: m.store.form, Passive: true})
	defer rd.Close()
	defer m.store.audience.follow(nil)
	defer m.store.audience.forget()
	var buf []*frame.Frame
	dropped, standard := uint64(0), &frame.Track{Codec: codec.StandardAAC()}
	ready := m.store.ready
	for {
		if buf, err = rd.Next(ctx, buf); err != nil {
			return nil
		}
		if n := rd.Dropped(); n != dropped {
			dropped = n
			m.lost()
		}
		if ready != nil {
			for _, t := range rd.Tracks() {
				if t.Kind() == frame.Audio {
					m.setSource(t)
				}
			}
		}
		if m.store.audience.look(); m.store.audience.latent.Load() {
			m.setSource(standard) // what it will be, when it is
		}
		for _, f := range buf {
			if err := m.frame(f); err != nil {
				return err
			}
		}
		m.recalled(m.store.audience.bring())
		if ready != nil && m.started {
			close(ready)
			ready = nil
			m.store.audience.remember(ctx, func(ctx context.Context, at time.Duration) ([]*frame.Frame, error) {
				return run.SoundSince(ctx, m.store.form, at-m.base)
			})
			m.store.audience.follow(rd)
		}
		clear(buf)
		m.store.audience.packaged()
		m.store.audience.rest(time.Now())
	}
}

// prefix makes a run's name: 40 random bits.
func prefix() string { return strings.ToLower(rand.Text()[:8]) }
