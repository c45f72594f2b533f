package hub

import (
	"context"

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
		c = r.convertSound(form)
	}
	return c.use()
}

// convertSound makes the conversion to a form. Run.mu is held.
func (r *Run) convertSound(form Sound) *conversion {
	c := &conversion{run: r, track: &frame.Track{Codec: form.codec()}}
	c.wanted = func() bool { return r.audio != nil && !form.is(r.audio) }
	c.work = func(conv Converter) func(context.Context) error {
		sink := &SoundSink{sink{c, r}, form}
		c.sink = &sink.sink
		return func(ctx context.Context) error { return conv.Convert(ctx, r, sink) }
	}
	if r.conversions == nil {
		r.conversions = map[Sound]*conversion{}
	}
	r.conversions[form] = c
	return c
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
	return true, r.stream.hub.available()
}

// SoundSink takes what a Converter makes of sound. Its methods are for one goroutine.
type SoundSink struct {
	sink
	form Sound
}

// Form that is wanted.
func (k *SoundSink) Form() Sound { return k.form }

// Write adds a frame to the run. Times are on the run's timeline, the track is
// the sink's own; the frame is handed over.
func (k *SoundSink) Write(f *frame.Frame) {
	f.Track, f.Derived = k.c.track, true
	k.write(f)
}
