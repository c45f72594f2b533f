package restream

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/outbound"
)

// follow is how an output reads: platforms take AAC alone, and insist on some sound,
// so there is silence when nothing can be converted; a write for each picture.
func follow(run *hub.Run) hub.ReaderOptions {
	sound := run.Steady()
	if sound == hub.SoundAsSent {
		sound = hub.SoundStandard
	}
	return hub.ReaderOptions{PictureWake: true, Sound: sound, Fill: true}
}

const (
	// dialTime is what a destination has to agree.
	dialTime = 10 * time.Second
	// stalledAfter is how long a write may make no progress before the status says
	// so; the connection lives on until its own time is over.
	stalledAfter = 750 * time.Millisecond
	// lookEvery is how often somebody looks.
	lookEvery = 250 * time.Millisecond
)

// The reasons of failures that no connection gives.
var (
	errGone    = errors.New("the destination closed the connection")
	errStalled = errors.New("the destination takes no data")
)

// output sends the stream to one destination. Its goroutine, run, owns the
// connection.
type output struct {
	sup    *Supervisor
	to     Destination
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc

	sent, bytes, dropped atomic.Uint64

	telling sync.Mutex // orders what Notify hears; before mu
	mu      sync.Mutex
	now     Status
	busy    time.Time // since when a write has been going on; zero: none is
	paused  bool
	turn    chan struct{}      // closed, and made anew, when paused changes
	stop    context.CancelFunc // ends the attempt in progress; nil without one
}

func newOutput(s *Supervisor, d Destination) *output {
	o := &output{
		sup: s, to: d, turn: make(chan struct{}), paused: d.Paused,
		log: s.cfg.Log.With("stream", s.stream.ID(), "output", d.ID, "destination", Redact(d.URL)),
		now: Status{ID: d.ID, Name: d.Name, URL: Redact(d.URL), State: Idle, Since: time.Now()},
	}
	if d.Paused {
		o.now.State = Stopped
	}
	o.ctx, o.cancel = context.WithCancel(s.ctx)
	return o
}

// run follows the stream from run to run until the output is removed or the
// stream has ended.
func (o *output) run() {
	defer o.cancel()
	defer func() {
		if cause := recover(); cause != nil { // ends this output only
			o.log.Error("a restream output failed", "panic", cause, "stack", string(debug.Stack()))
			o.set(Failed, "internal error", 0)
		}
	}()
	again, attempts := retry{}, 0
	for {
		turn, ok := o.wanted()
		if !ok {
			return
		}
		if err := CheckAddress(o.to.URL); err != nil {
			o.set(Failed, err.Error(), 0)
			o.sleep(forever, turn)
			continue
		}
		if attempts == 0 {
			o.set(Idle, "", 0)
		}
		run, err := o.waitRun()
		switch {
		case errors.Is(err, errPaused):
			continue
		case errors.Is(err, hub.ErrEnded):
			o.set(Stopped, "", 0)
			return
		case err != nil:
			return
		case attempts == 0:
			o.set(Connecting, "", 0)
		}
		lived, err := o.attempt(run)
		switch {
		case err == nil: // the run is over, or the output was paused or removed
			again, attempts = retry{}, 0
			continue
		case final(err):
			o.set(Failed, err.Error(), 0)
			o.sleep(forever, turn)
			again, attempts = retry{}, 0
			continue
		case lived > 0:
			attempts = 0
		}
		attempts++
		var wait time.Duration
		wait, again = again.after(lived, o.sup.cfg.Random())
		o.set(Retrying, err.Error(), attempts)
		o.log.Warn("a restream destination failed", "error", err, "attempt", attempts, "again_in", wait.Round(time.Millisecond))
		o.sleep(wait, turn)
	}
}

// final says whether trying again cannot help.
func final(err error) bool {
	return errors.Is(err, ErrAddress) || errors.Is(err, outbound.ErrPrivate)
}

// errPaused ends a wait for the stream.
var errPaused = errors.New("paused")

// waitRun waits for the stream to be live, and asks the destination meanwhile
// whether it would take it. Errors: errPaused, hub.ErrEnded, that of the context.
func (o *output) waitRun() (*hub.Run, error) {
	ctx, stop := context.WithCancel(o.ctx)
	defer stop()
	if !o.begin(stop) {
		return nil, errPaused
	}
	var asking sync.WaitGroup
	defer asking.Wait()
	defer stop() // nobody is asked any more when it is time to send
	if o.sup.cfg.Check != nil && o.sup.stream.Run() == nil {
		asking.Go(func() { o.ask(ctx) })
	}
	run, err := o.sup.stream.WaitRun(ctx)
	if err != nil && o.ctx.Err() == nil && ctx.Err() != nil {
		return nil, errPaused
	}
	return run, err
}

// ask makes a pre-flight; what it finds stands in the status.
func (o *output) ask(ctx context.Context) {
	found, err := o.sup.cfg.Check(ctx, o.to)
	if err != nil || found == nil {
		return
	}
	o.mu.Lock()
	o.now.Preflight = found
	o.mu.Unlock()
	o.set(Idle, found.Err(), 0)
	if problem := found.Err(); problem != "" {
		o.log.Warn("a restream destination does not answer as it should", "error", problem)
	}
}

// wanted waits while the output is paused; false: it was removed. turn is closed
// when it is paused again.
func (o *output) wanted() (turn <-chan struct{}, ok bool) {
	for {
		o.mu.Lock()
		paused, turn := o.paused, o.turn
		o.mu.Unlock()
		if !paused {
			return turn, o.ctx.Err() == nil
		}
		o.set(Stopped, "", 0)
		select {
		case <-turn:
		case <-o.ctx.Done():
			return nil, false
		}
	}
}

// forever is a wait that only a pause or the end of the output ends.
const forever = time.Duration(1<<63 - 1)

// sleep waits before the next attempt, less when the output is paused or removed.
func (o *output) sleep(d time.Duration, turn <-chan struct{}) {
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
	push, err := o.sup.cfg.Dial(dialing, o.to, announced.Tracks())
	cancel()
	if err != nil {
		if ctx.Err() != nil {
			return 0, nil
		}
		return 0, err
	}
	hangUp := context.AfterFunc(ctx, func() { _ = push.Close() }) // a write in progress returns
	since := time.Now()
	o.mu.Lock()
	o.now.Connects++
	o.mu.Unlock()
	if err = o.send(ctx, run, push); err == nil {
		push.Drain(ctx)
	}
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
	var watching sync.WaitGroup
	watching.Go(func() {
		o.watch(connected, push)
		cancel() // ends the wait for frames
	})
	defer watching.Wait()
	defer cancel()
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
		if err := o.write(push, frames); err != nil {
			return err
		}
		o.set(Active, "", 0)
	}
}

// together is how many frames go out in one write: a picture with its sound, not
// all that is there to catch up with, which would look like a stall.
const together = 8

// write sends frames, and counts those that are the publisher's own.
func (o *output) write(push Pusher, frames []*frame.Frame) error {
	defer o.writing(time.Time{})
	for some := range slices.Chunk(frames, together) {
		o.writing(time.Now())
		if err := push.WriteFrames(some); err != nil {
			return err
		}
		for _, f := range some {
			o.bytes.Add(uint64(len(f.Payload)))
			if !f.Hold && (!f.Derived || f.IsVideo()) { // what we put in is nobody's frame
				o.sent.Add(1)
			}
		}
	}
	return nil
}

func (o *output) writing(since time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.busy = since
}

// watch waits for the destination to hang up, and says so when it takes nothing.
func (o *output) watch(ctx context.Context, push Pusher) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-push.Done():
			return
		case <-ctx.Done():
			return
		case <-look.C:
			o.change(func() bool {
				return !o.busy.IsZero() && time.Since(o.busy) > stalledAfter && o.turnTo(Retrying, errStalled.Error(), 0)
			})
		}
	}
}

// set changes the state and tells so when it is another one.
func (o *output) set(state State, problem string, attempts int) {
	o.change(func() bool { return o.turnTo(state, problem, attempts) })
}

// change does what f does to the state, and tells so when it was something.
func (o *output) change(f func() bool) {
	o.telling.Lock()
	defer o.telling.Unlock()
	o.mu.Lock()
	changed := f()
	o.mu.Unlock()
	if changed {
		o.sup.cfg.Notify(o.status())
	}
}

// turnTo changes the state; false: it is that one. o.mu is held.
func (o *output) turnTo(state State, problem string, attempts int) bool {
	o.now.Attempts = attempts
	if o.now.State == state && o.now.Error == problem {
		return false
	}
	o.now.State, o.now.Error, o.now.Since = state, problem, time.Now()
	return true
}

func (o *output) status() Status {
	o.mu.Lock()
	defer o.mu.Unlock()
	st := o.now
	st.Sent, st.Bytes, st.Dropped = o.sent.Load(), o.bytes.Load(), o.dropped.Load()
	return st
}
