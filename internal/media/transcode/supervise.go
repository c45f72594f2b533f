package transcode

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// steady is how long a child must live to count as well again.
	steady = time.Minute
	// The times between a child's death and the next start.
	firstPause, longestPause = time.Second, 30 * time.Second
)

// errRenew is why a child is replaced without having failed.
var errRenew = errors.New("new parameters")

// errHung is why a child was killed.
var errHung = errors.New("ffmpeg gave nothing for too long")

// problems takes why a conversion gives nothing.
type problems interface {
	Problem(err error)
}

// supervise runs one child after the other until ctx or the source ends (nil)
// or the Transcoder closes. once runs one and says how it ended: errRenew when
// the source changed, io.EOF when it ended, otherwise why the child failed. first
// is the time before it is replaced the first time.
func (t *Transcoder) supervise(ctx context.Context, dst problems, log *slog.Logger, first time.Duration, once func() error) error {
	pause := first
	for {
		begun := time.Now()
		err := once()
		if time.Since(begun) > steady {
			pause = first
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case t.ctx.Err() != nil:
			return ErrClosed
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errRenew):
			continue
		}
		dst.Problem(err)
		log.Warn("conversion failed", "err", err, "retry_in", pause)
		if err := sleep(ctx, t.ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, longestPause)
	}
}

func sleep(ctx, closed context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-closed.Done():
		return ErrClosed
	}
}

// pipeline is a child that is fed and read at once.
type pipeline struct {
	args  []string
	hangs time.Duration                          // Config.HangAfter when zero
	feed  func(context.Context, io.Writer) error // its error is why the child must end
	read  func(io.Reader) error                  // until the output ends (nil) or is malformed
}

// pipe runs a child. It returns what feed did when that was errRenew or io.EOF,
// otherwise why the child failed.
func (t *Transcoder) pipe(caller context.Context, st *stall, p pipeline) error {
	ctx, cancel := context.WithCancelCause(caller)
	defer cancel(nil)
	c, err := t.start(ctx, job{args: p.args})
	if err != nil {
		return err
	}
	var tasks sync.WaitGroup
	var fed error
	tasks.Go(func() {
		fed = p.feed(ctx, stallWriter{c.stdin, st})
		if err := c.stdin.Close(); fed == nil {
			fed = err
		}
	})
	tasks.Go(func() { st.watch(ctx, cmp.Or(p.hangs, t.cfg.HangAfter), func() { cancel(errHung) }) })
	err = p.read(c.stdout)
	hung := errors.Is(context.Cause(ctx), errHung)
	cancel(nil) // after a clean end this kills nobody: the output is at its end
	died := c.wait()
	tasks.Wait()
	switch {
	case caller.Err() != nil || t.ctx.Err() != nil:
		return context.Canceled
	case hung:
		err = errHung
	case errors.Is(fed, errRenew), errors.Is(fed, io.EOF):
		return fed
	case died != nil && err == nil:
		err = died
	case err == nil:
		err = errors.New("ffmpeg ended by itself")
	}
	t.failed.Add(1)
	return err
}
