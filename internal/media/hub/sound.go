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
	// SoundStandard is AAC of one configuration (codec.StandardAAC), for outputs
	// that have announced it.
	SoundStandard Sound = "AAC 48 kHz stereo"
)

// Is reports whether a track of sound has this form.
func (s Sound) Is(t *frame.Track) bool {
	switch s {
	case SoundAsSent:
		return true
	case SoundStandard:
		return codec.IsStandard(t.Codec)
	}
	return t.Codec.Name() == string(s)
}

// made is the form that is made for those who want this one: one configuration of
// AAC for all.
func (s Sound) made() Sound {
	if s == SoundAAC {
		return SoundStandard
	}
	return s
}

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
	c := r.conversions[form.made()]
	if c == nil {
		c = r.convertSound(form.made())
	}
	if form == SoundAAC {
		return c.use(&c.users)
	}
	return c.use(&c.strict)
}

// convertSound makes the conversion to a form. Run.mu is held.
func (r *Run) convertSound(form Sound) *conversion {
	c := &conversion{run: r, track: &frame.Track{Codec: form.codec()}}
	c.wanted = func() bool {
		if r.audio == nil || form.Is(r.audio) {
			return false
		}
		// Any AAC will do for those who did not ask for the standard one.
		return form == SoundOpus || c.strict > 0 || !SoundAAC.Is(r.audio)
	}
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

// Steady is the form of sound for an output that tells its players only once how
// the sound is coded: AAC as it comes when the source sends that now, otherwise
// the standard one, which silence has as well; as sent when nothing can be
// converted.
func (r *Run) Steady() Sound {
	r.mu.RLock()
	defer r.mu.RUnlock()
	switch {
	case r.audio != nil && SoundAAC.Is(r.audio):
		return SoundAAC
	case r.stream.hub.available() != nil:
		return SoundAsSent
	}
	return SoundStandard
}

// Converted reports whether the run's sound has to be converted for readers of a
// form and can be; problem says why there is none at the moment.
func (r *Run) Converted(form Sound) (converted bool, problem error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.audio == nil || form.Is(r.audio) {
		return false, nil
	}
	if c := r.conversions[form.made()]; c != nil && c.cancel != nil {
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
