package hub

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"glimpse/internal/media/frame"
)

// Converter makes what a source does not send.
type Converter interface {
	// Available says why nothing can be converted, nil when it can.
	Available() error
	// Convert reads the run's sound and writes it to the sink in its form,
	// restarting what fails, until ctx or the run ends; only then it returns.
	Convert(ctx context.Context, run *Run, sink *SoundSink) error
	// ConvertAll converts sound that is there already, in the order of time, and
	// returns when all of it is: as much as could be, with an error when that is
	// not all.
	ConvertAll(ctx context.Context, sound []*frame.Frame, form Sound) ([]*frame.Frame, error)
	// Straighten does the same with the run's pictures, for viewers that cannot
	// put pictures in order: it writes H.264 whose pictures are sent in the order
	// in which they are shown, with the same times and key frames.
	Straighten(ctx context.Context, run *Run, sink *PictureSink) error
}

// ErrNoConverter says that the hub was given no Converter.
var ErrNoConverter = errors.New("nothing is converted here")

// available is the converter's word.
func (h *Hub) available() error {
	if h.cfg.Converter == nil {
		return ErrNoConverter
	}
	return h.cfg.Converter.Available()
}

// needLinger is how long a conversion outlives the last who needs it: a page
// that reloads finds it running.
const needLinger = 10 * time.Second

// conversion is one thing that is made of a run while somebody needs it, once for
// all. Guarded by Run.mu.
type conversion struct {
	run    *Run
	wanted func() bool                                 // whether the source makes it necessary; Run.mu is held
	work   func(Converter) func(context.Context) error // begins it; Run.mu is held

	users   int                // who need it
	strict  int                // of sound: who need no other than what is made
	idle    *time.Timer        // runs while nobody needs it any more
	cancel  context.CancelFunc // of the goroutine in force; nil when there is none
	before  chan struct{}      // closed when the newest goroutine has ended
	problem error
	sink    *sink        // of the goroutine in force
	track   *frame.Track // of converted sound
}

// use counts a user in, and out by the function returned. Run.mu is held.
func (c *conversion) use(count *int) (release func()) {
	*count++
	if c.idle != nil {
		c.idle.Stop()
		c.idle = nil
	}
	c.update()
	return sync.OnceFunc(func() { c.release(count) })
}

func (c *conversion) release(count *int) {
	c.run.mu.Lock()
	defer c.run.mu.Unlock()
	*count--
	if c.users+c.strict > 0 {
		c.update()
	} else if !c.run.ended {
		c.idle = time.AfterFunc(needLinger, c.expire)
	}
}

func (c *conversion) expire() {
	c.run.mu.Lock()
	defer c.run.mu.Unlock()
	if c.users+c.strict == 0 {
		c.idle = nil
		c.update()
	}
}

// reconsider starts and ends conversions after the source's sound changed or the
// run ended. Run.mu is held.
func (r *Run) reconsider() {
	for _, c := range r.conversions {
		c.reconsider()
	}
	if r.straight != nil {
		r.straight.reconsider()
	}
}

func (c *conversion) reconsider() {
	if c.run.ended && c.idle != nil {
		c.idle.Stop()
		c.idle = nil
	}
	c.update()
}

// update starts or ends the goroutine. Run.mu is held.
func (c *conversion) update() {
	conv := c.run.stream.hub.cfg.Converter
	wanted := !c.run.ended && (c.users+c.strict > 0 || c.idle != nil) && conv != nil && c.wanted()
	switch {
	case wanted && c.cancel == nil:
		c.start(conv)
	case !wanted && c.cancel != nil:
		c.cancel()
		c.sink.over()
		c.cancel, c.sink, c.problem = nil, nil, nil
	}
}

// start runs the converter, after the one before has ended. The stream owns the
// goroutine and waits for it when it closes: nothing starts once the run has ended.
func (c *conversion) start(conv Converter) {
	ctx, cancel := context.WithCancel(context.Background())
	before, done := c.before, make(chan struct{})
	work := c.work(conv)
	sink := c.sink
	c.cancel, c.before, c.problem = cancel, done, conv.Available()
	s := c.run.stream
	s.wg.Go(func() {
		defer close(done)
		defer cancel()
		defer func() {
			if v := recover(); v != nil { // ends this conversion only
				s.log.Error("a conversion failed", "panic", v, "stack", string(debug.Stack()))
				sink.Problem(fmt.Errorf("the conversion failed"))
			}
		}()
		if before != nil {
			<-before
		}
		if err := work(ctx); err != nil && ctx.Err() == nil {
			sink.Problem(err)
		}
	})
}

// sink is where a Converter's goroutine writes, for as long as it is the one in
// force.
type sink struct {
	c  *conversion
	to *Run // the run itself, or one of its own
}

// Problem says why nothing comes, until the next Write.
func (k *sink) Problem(err error) { k.current(err) }

// current reports whether this sink is in force, and notes how it goes.
func (k *sink) current(problem error) bool {
	k.c.run.mu.Lock()
	defer k.c.run.mu.Unlock()
	if k.c.sink != k {
		return false
	}
	k.c.problem = problem
	return true
}

func (k *sink) write(f *frame.Frame) {
	if k.current(nil) {
		k.to.append(f, time.Since(k.to.start))
	}
}

// over ends the sink's run when it is its own. The other's Run.mu is held.
func (k *sink) over() {
	if k.to != k.c.run {
		k.to.end()
	}
}
