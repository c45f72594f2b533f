package frames

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"glimpse/internal/media/hub"
	"glimpse/internal/media/transcode"
	"glimpse/protocol"
)

const (
	// judgeEvery is how often a tap looks at what nobody tells it.
	judgeEvery = 250 * time.Millisecond
	// slowerAfter is how long a child decodes more than is wanted before it is
	// replaced: somebody may come back.
	slowerAfter = 10 * time.Second
	// recent is how old a picture may be to be given to a newcomer at once.
	recent = time.Second
)

// tap decodes one size of one stream for all who want it. Its goroutine follows
// the stream's runs and their children; the fields below it are guarded by
// channel.mu.
type tap struct {
	channel *channel
	width   int
	cancel  context.CancelFunc
	wake    chan struct{} // the rate may have changed
	full    atomic.Bool   // it may decode all pictures

	subs     map[*Subscription]struct{}
	idle     time.Time // since when there are none
	newest   *Picture  // of this run
	current  *child    // whose pictures are taken
	older    []*child  // replaced by it, or still to be
	problem  error     // why nothing comes
	keysOnly bool
	ended    bool
	told     condition
}

// condition is what subscribers are told.
type condition struct{ state, reason string }

func newTap(c *channel, width int) (*tap, context.Context) {
	ctx, cancel := context.WithCancel(c.service.ctx)
	return &tap{
		channel: c, width: width, cancel: cancel, wake: make(chan struct{}, 1), subs: map[*Subscription]struct{}{},
		told: condition{state: protocol.StateStarting},
	}, ctx
}

// run is the tap's goroutine, until ctx or the stream ends.
func (t *tap) run(ctx context.Context) {
	defer t.cancel()
	defer t.giveBack()
	for ctx.Err() == nil {
		t.judge()
		wait, cancel := context.WithTimeout(ctx, judgeEvery)
		run, err := t.channel.stream.WaitRun(wait)
		cancel()
		switch {
		case errors.Is(err, hub.ErrEnded):
			t.channel.mu.Lock()
			t.end("The stream has ended.")
			t.channel.mu.Unlock()
			<-ctx.Done() // the sweeper's word, when the last subscriber has gone
			return
		case err == nil:
			t.follow(ctx, run)
		}
	}
}

// follow has one run decoded until it or ctx ends.
func (t *tap) follow(ctx context.Context, run *hub.Run) {
	ctx, cancel := context.WithCancel(ctx)
	var children sync.WaitGroup
	defer children.Wait()
	defer cancel()
	t.channel.mu.Lock()
	t.newest, t.current, t.older, t.problem = nil, nil, nil, nil
	t.channel.mu.Unlock()
	tick := time.NewTicker(judgeEvery)
	defer tick.Stop()
	var last *child
	var slower time.Time // since when less is wanted
	for {
		switch want := t.rate(); {
		case want == 0: // nobody is here
		case last != nil && want == last.rate:
			slower = time.Time{}
		case last != nil && want < last.rate && slower.IsZero():
			slower = time.Now()
		case last != nil && want < last.rate && time.Since(slower) < slowerAfter:
		default:
			slower = time.Time{}
			c := &child{tap: t, run: run, rate: want}
			c.ctx, c.cancel = context.WithCancel(ctx)
			last = c
			t.channel.mu.Lock()
			t.older = append(t.older, c)
			t.channel.mu.Unlock()
			children.Go(c.decode)
		}
		t.judge()
		select {
		case <-t.wake:
		case <-tick.C:
		case <-run.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}

// rate is what a child has to give, 0 when nobody is here.
func (t *tap) rate() float64 {
	t.channel.mu.Lock()
	defer t.channel.mu.Unlock()
	fps := 0.0
	for s := range t.subs {
		fps = max(fps, s.options.FPS)
	}
	if fps == 0 {
		return 0
	}
	return rateOf(fps)
}

// stir makes the goroutine look.
func (t *tap) stir() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// may reports whether the tap may decode all pictures, and takes a place among
// those when there is one.
func (t *tap) may() bool {
	if t.full.Load() {
		return true
	}
	s := t.channel.service
	if s.full.Add(1) > int32(s.cfg.MaxDecoders) {
		s.full.Add(-1)
		return false
	}
	t.full.Store(true)
	return true
}

// giveBack gives the place up.
func (t *tap) giveBack() {
	if t.full.Swap(false) {
		t.channel.service.full.Add(-1)
	}
}

// judge tells subscribers when the state of the pictures has changed.
func (t *tap) judge() {
	state := t.channel.stream.State()
	t.channel.mu.Lock()
	defer t.channel.mu.Unlock()
	t.tell(judge(facts{stream: state, problem: t.problem, pictured: t.newest != nil, keysOnly: t.keysOnly, full: t.full.Load()}))
}

// tell changes the condition. channel.mu is held.
func (t *tap) tell(c condition) {
	if c == t.told || t.ended {
		return
	}
	t.told = c
	for s := range t.subs {
		s.signal()
	}
}

// end tells that nothing will come any more. channel.mu is held.
func (t *tap) end(reason string) {
	t.ended, t.told = true, condition{protocol.StateStopped, reason}
	for s := range t.subs {
		s.over = true
		s.signal()
	}
}

// facts are what a condition follows from.
type facts struct {
	stream   hub.State
	problem  error
	pictured bool // a picture of this run has come
	keysOnly bool
	full     bool // the tap has a place among those that decode all
}

// judge says how the pictures are doing.
func judge(f facts) condition {
	switch {
	case f.stream == hub.StateInterrupted:
		return condition{protocol.StateNoVideo, "The publisher is away and may come back."}
	case f.stream != hub.StateLive:
		return condition{protocol.StateNoVideo, "Nobody publishes this stream."}
	case errors.Is(f.problem, transcode.ErrMissing), errors.Is(f.problem, transcode.ErrBusy):
		return condition{protocol.StateStopped, "No pictures can be decoded: " + f.problem.Error() + "."}
	case f.problem != nil:
		return condition{protocol.StateStarting, "The decoder failed and is started again."}
	case !f.pictured:
		return condition{protocol.StateStarting, ""}
	case f.keysOnly && !f.full:
		return condition{protocol.StateOverloaded, "Too many streams are decoded here: of this one only key frames."}
	case f.keysOnly:
		return condition{protocol.StateOverloaded, "The machine cannot keep up: only key frames are decoded for a while."}
	}
	return condition{protocol.StateRunning, ""}
}

// child is one decoder of a run at one rate. When another rate is wanted its
// successor begins beside it, and takes over with its first picture.
type child struct {
	tap    *tap
	run    *hub.Run
	rate   float64
	ctx    context.Context
	cancel context.CancelFunc
}

var _ transcode.DecodeSink = (*child)(nil)

func (c *child) decode() {
	defer c.cancel()
	t := c.tap
	err := t.channel.service.cfg.Decoder.Decode(c.ctx, c.run, transcode.Decoding{Width: t.width, FPS: c.rate}, c)
	if err != nil && c.ctx.Err() == nil {
		c.Problem(err)
	}
}

// Picture implements transcode.DecodeSink.
func (c *child) Picture(d transcode.Decoded) {
	t, s := c.tap, c.tap.channel.service
	s.counts.pictures.Add(1)
	p := &Picture{Decoded: d, arrived: time.Now()}
	t.channel.mu.Lock()
	defer t.channel.mu.Unlock()
	if c.ctx.Err() != nil || t.newest != nil && d.Frame.PTS <= t.newest.Frame.PTS {
		return // of a child that was replaced, or before what its successor gave
	}
	t.promote(c)
	p.epoch = t.channel.epochs.of(c.run, d.Frame)
	p.epoch.late = d.Came.Sub(d.Frame.Wall)
	t.problem, t.newest = nil, p
	t.channel.announce(p.epoch, p.arrived)
	if t.told.state != protocol.StateRunning && !t.keysOnly {
		t.tell(condition{state: protocol.StateRunning})
	}
	for sub := range t.subs {
		sub.offer(p)
	}
}

// promote makes a child the one whose pictures are taken. channel.mu is held.
func (t *tap) promote(c *child) {
	if t.current == c {
		return
	}
	t.current = c
	for i, old := range t.older {
		if old == c {
			t.older = t.older[i:]
			return
		}
		old.cancel()
	}
}

// Problem implements transcode.DecodeSink.
func (c *child) Problem(err error) {
	c.tap.channel.mu.Lock()
	defer c.tap.channel.mu.Unlock()
	c.tap.problem = err
	c.tap.stir()
}

// KeysOnly implements transcode.DecodeSink.
func (c *child) KeysOnly() bool { return !c.tap.may() }

// Limited implements transcode.DecodeSink.
func (c *child) Limited(keysOnly bool) {
	t := c.tap
	t.channel.mu.Lock()
	t.keysOnly = keysOnly
	t.channel.mu.Unlock()
	t.stir()
	if keysOnly {
		t.channel.service.cfg.Notify(Event{Kind: EventOverloaded, Stream: t.channel.stream})
	}
}
