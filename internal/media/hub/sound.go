package hub

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

// Sound is a form in which readers take a stream's sound: the codec's name.
type Sound string

// The forms of sound.
const (
	SoundAsSent Sound = "" // whatever the source sends
	SoundAAC    Sound = "AAC"
	SoundOpus   Sound = "Opus"
)

// is reports whether a track of sound has this form.
func (s Sound) is(t *frame.Track) bool { return s == SoundAsSent || t.Codec.Name() == string(s) }

// codec is what a conversion makes: one configuration for all streams and for
// ever, so that what players read once stays true.
func (s Sound) codec() frame.Codec {
	if s == SoundOpus {
		return &codec.Opus{Channels: 2}
	}
	return codec.StandardAAC()
}

// Converter makes sound in a form that a source does not send.
type Converter interface {
	// Available says why nothing can be converted, nil when it can.
	Available() error
	// Convert reads the run's sound and writes it to the sink in its form,
	// restarting what fails, until ctx or the run ends; only then it returns.
	Convert(ctx context.Context, run *Run, sink *SoundSink) error
}

// needLinger is how long a conversion outlives its last reader: a page that
// reloads finds it running.
const needLinger = 10 * time.Second

// conversion is one form of a run's sound, shared by all who take it. It lives
// in the run's ring: readers pick their form's frames. Guarded by Run.mu.
type conversion struct {
	run     *Run
	form    Sound
	track   *frame.Track
	users   int
	idle    *time.Timer        // runs while nobody needs it any more
	cancel  context.CancelFunc // of the goroutine in force; nil when there is none
	sink    *SoundSink         // its sink
	before  chan struct{}      // closed when the newest goroutine has ended
	problem error
}

// Need has the run's sound converted to a form from now on, if its source sends
// another one, until release is called and for 10 s more. Readers of that form
// need it by themselves, unless they are Passive. release is idempotent.
func (r *Run) Need(form Sound) (release func()) {
	if form == SoundAsSent {
		return func() {}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.conversions[form]
	if c == nil {
		if r.conversions == nil {
			r.conversions = map[Sound]*conversion{}
		}
		c = &conversion{run: r, form: form, track: &frame.Track{Codec: form.codec()}}
		r.conversions[form] = c
	}
	c.users++
	if c.idle != nil {
		c.idle.Stop()
		c.idle = nil
	}
	c.update()
	return sync.OnceFunc(c.release)
}

// Converted reports whether the run's sound has to be converted for readers of a
// form and can be; problem says why there is none at the moment.
func (r *Run) Converted(form Sound) (converted bool, problem error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.audio == nil || form.is(r.audio) {
		return false, nil
	}
	if c := r.conversions[form]; c != nil && c.problem != nil {
		return true, c.problem
	}
	if conv := r.stream.hub.cfg.Converter; conv != nil {
		return true, conv.Available()
	}
	return true, errNoConverter
}

var errNoConverter = errors.New("sound is not converted here")

func (c *conversion) release() {
	c.run.mu.Lock()
	defer c.run.mu.Unlock()
	if c.users--; c.users == 0 && !c.run.ended {
		c.idle = time.AfterFunc(needLinger, c.expire)
	}
}

func (c *conversion) expire() {
	c.run.mu.Lock()
	defer c.run.mu.Unlock()
	if c.users == 0 {
		c.idle = nil
		c.update()
	}
}

// reconsider starts and ends conversions after the source's sound changed or the
// run ended. Run.mu is held.
func (r *Run) reconsider() {
	for _, c := range r.conversions {
		if r.ended && c.idle != nil {
			c.idle.Stop()
			c.idle = nil
		}
		c.update()
	}
}

// update starts or ends the converter's goroutine. Run.mu is held.
func (c *conversion) update() {
	r := c.run
	wanted := !r.ended && (c.users > 0 || c.idle != nil) &&
		r.audio != nil && !c.form.is(r.audio) && r.stream.hub.cfg.Converter != nil
	switch {
	case wanted && c.cancel == nil:
		c.start(r.stream.hub.cfg.Converter)
	case !wanted && c.cancel != nil:
		c.cancel()
		c.cancel, c.sink, c.problem = nil, nil, nil
	}
}

// start runs the converter, after the one before has ended. The stream owns the
// goroutine and waits for it when it closes: nothing starts once the run has ended.
func (c *conversion) start(conv Converter) {
	ctx, cancel := context.WithCancel(context.Background())
	before, done := c.before, make(chan struct{})
	sink := &SoundSink{c}
	c.cancel, c.before, c.sink, c.problem = cancel, done, sink, conv.Available()
	s := c.run.stream
	s.wg.Go(func() {
		defer close(done)
		defer cancel()
		defer func() {
			if v := recover(); v != nil { // ends this conversion only
				s.log.Error("a sound conversion failed", "panic", v, "stack", string(debug.Stack()))
				sink.Problem(fmt.Errorf("sound conversion to %s failed", c.form))
			}
		}()
		if before != nil {
			<-before
		}
		if err := conv.Convert(ctx, c.run, sink); err != nil && ctx.Err() == nil {
			sink.Problem(err)
		}
	})
}

// SoundSink takes what a Converter makes. Its methods are for one goroutine.
type SoundSink struct{ c *conversion }

// Form that is wanted.
func (k *SoundSink) Form() Sound { return k.c.form }

// Write adds a frame to the run. Times are on the run's timeline, the track is
// the sink's own; the frame is handed over.
func (k *SoundSink) Write(f *frame.Frame) {
	r := k.c.run
	r.mu.Lock()
	current := k.c.sink == k
	if current {
		k.c.problem = nil
	}
	r.mu.Unlock()
	if current {
		f.Track, f.Derived = k.c.track, true
		r.append(f, time.Since(r.start))
	}
}

// Problem says why there is no sound, until the next Write.
func (k *SoundSink) Problem(err error) {
	k.c.run.mu.Lock()
	defer k.c.run.mu.Unlock()
	if k.c.sink == k {
		k.c.problem = err
	}
}
