package restream

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

// follow is how an output reads: platforms take AAC, and insist on some sound; a
// write for each picture.
func follow(run *hub.Run) hub.ReaderOptions {
	return hub.ReaderOptions{PictureWake: true, Sound: run.Steady(), Fill: true}
}

// dialTime is what a destination has to agree.
const dialTime = 10 * time.Second

// output sends the stream to one destination. Its goroutine, run, owns the
// connection.
type output struct {
	sup    *Supervisor
	to     Destination
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{} // closed when run has returned

	sent, dropped atomic.Uint64

	mu     sync.Mutex
	now    Status
	paused bool
	turn   chan struct{}      // closed, and made anew, when paused changes
	stop   context.CancelFunc // ends the attempt in progress; nil without one
}

func newOutput(s *Supervisor, d Destination) *output {
	o := &output{
		sup: s, to: d, done: make(chan struct{}), turn: make(chan struct{}),
		log: s.cfg.Log.With("stream", s.stream.ID(), "output", d.ID, "destination", Redact(d.URL)),
		now: Status{ID: d.ID, Name: d.Name, URL: Redact(d.URL), State: Idle, Since: time.Now()},
	}
	o.ctx, o.cancel = context.WithCancel(s.ctx)
	return o
}

// run follows the stream from run to run until the output is removed or the
// stream has ended.
func (o *output) run() {
	defer close(o.done)
	defer o.cancel()
	defer func() {
		if cause := recover(); cause != nil { // ends this output only
			o.log.Error("a restream output failed", "panic", cause, "stack", string(debug.Stack()))
			o.set(Failed, "internal error", 0)
		}
	}()
	again, attempts := retry{}, 0
	for o.wanted() {
		if attempts == 0 {
			o.set(Idle, "", 0)
		}
		run, err := o.sup.stream.WaitRun(o.ctx)
		if err != nil {
			return
		}
		if attempts == 0 {
			o.set(Connecting, "", 0)
		}
		lived, err := o.attempt(run)
		switch {
		case err == nil: // the run is over, or the output was paused or removed
			again, attempts = retry{}, 0
			continue
		case errors.Is(err, ErrAddress):
			o.set(Failed, err.Error(), 0)
			return
		case lived > 0:
			attempts = 0
		}
		attempts++
		var wait time.Duration
		wait, again = again.after(lived, o.sup.cfg.Random())
		o.set(Retrying, err.Error(), attempts)
		o.log.Warn("a restream destination failed", "error", err, "attempt", attempts, "again_in", wait.Round(time.Millisecond))
		o.sleep(wait)
	}
}

// wanted waits while the output is paused; false: it was removed.
func (o *output) wanted() bool {
	for {
		o.mu.Lock()
		paused, turn := o.paused, o.turn
		o.mu.Unlock()
		if !paused {
			return o.ctx.Err() == nil
		}
		o.set(Stopped, "", 0)
		select {
		case <-turn:
		case <-o.ctx.Done():
			return false
		}
	}
}

// sleep waits before the next attempt, less when the output is paused or removed.
func (o *output) sleep(d time.Duration) {
	o.mu.Lock()
	turn := o.turn
	o.mu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-turn:
	case <-o.ctx.Done():
	}
}

// pause ends the attempt in progress, or the pause.
func (o *output) pause(paused bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.paused == paused {
		return
	}
	o.paused = paused
	close(o.turn)
	o.turn = make(chan struct{})
	if paused && o.stop != nil {
		o.stop()
	}
}

// begin registers what ends the attempt; false: the output has been paused.
func (o *output) begin(stop context.CancelFunc) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stop = stop
	return !o.paused
}

// attempt connects and sends until the connection fails, which is the error; nil
// means that there is nothing to send any more. lived is how long the destination
// took the stream.
func (o *output) attempt(run *hub.Run) (lived time.Duration, err error) {
	ctx, stop := context.WithCancel(o.ctx)
	defer stop()
	if !o.begin(stop) {
		return 0, nil
	}
	dialing, cancel := context.WithTimeout(ctx, dialTime)
	announced := run.Subscribe(follow(run)) // keeps converted sound coming while we dial
	defer announced.Close()
	push, err := o.sup.cfg.Dial(dialing, o.to.URL, announced.Tracks())
	cancel()
	if err != nil {
		if ctx.Err() != nil {
			return 0, nil
		}
		return 0, err
	}
	hangUp := context.AfterFunc(ctx, func() { _ = push.Close() }) // a WriteFrame in progress returns
	since := time.Now()
	err = o.send(ctx, run, push)
	hangUp()
	_ = push.Close() // its goodbye may fail; the connection is over
	if ctx.Err() != nil {
		return time.Since(since), nil
	}
	return time.Since(since), err
}

// send writes what the stream's ring has, from the newest key frame on, until the
// run is over (nil), ctx ends or the connection fails.
func (o *output) send(ctx context.Context, run *hub.Run, push Pusher) error {
	rd := run.Subscribe(follow(run))
	defer rd.Close()
	connected, cancel := context.WithCancel(ctx)
	watching := make(chan struct{})
	go func() { // ends the wait for frames when the destination hangs up
		defer close(watching)
		select {
		case <-push.Done():
			cancel()
		case <-connected.Done():
		}
	}()
	defer func() { cancel(); <-watching }()
	before := o.dropped.Load()
	var frames []*frame.Frame
	for {
		var err error
		frames, err = rd.Next(connected, frames)
		o.dropped.Store(before + rd.Dropped())
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return errGone
		}
		for _, f := range frames {
			if err := push.WriteFrame(f); err != nil {
				return err
			}
			if !f.Hold && (!f.Derived || f.IsVideo()) { // what we put in is nobody's frame
				o.sent.Add(1)
			}
		}
		o.set(Active, "", 0)
	}
}

// errGone is the end of a connection that gave no reason.
var errGone = errors.New("the destination closed the connection")

// set changes the state and tells so when it is another one.
func (o *output) set(state State, problem string, attempts int) {
	o.mu.Lock()
	o.now.Attempts = attempts
	same := o.now.State == state && o.now.Error == problem
	if !same {
		o.now.State, o.now.Error, o.now.Since = state, problem, time.Now()
	}
	o.mu.Unlock()
	if !same {
		o.sup.cfg.Notify(o.status())
	}
}

func (o *output) status() Status {
	o.mu.Lock()
	defer o.mu.Unlock()
	st := o.now
	st.Sent, st.Dropped = o.sent.Load(), o.dropped.Load()
	return st
}
