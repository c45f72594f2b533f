package hub

import (
	"context"
	"slices"
	"time"

	"glimpse/internal/media/frame"
)

const (
	// SoundPast is how much of the past's sound is converted for those who come to
	// it live: players of whole segments begin six seconds and more behind.
	SoundPast = 8 * time.Second
	// SoundKept is how much of it can be, for those who rewind or clip: the window
	// of package cmaf, and its longest segment.
	SoundKept = 75 * time.Second

	// What is kept for it is bounded also in packets, twice the usual 50 a second,
	// and in bytes, 400 kb/s.
	maxPast      = 100 * int(SoundKept/time.Second)
	maxPastBytes = 50_000 * int(SoundKept/time.Second)
)

// past is sound that has left the ring and may yet have to be converted to AAC.
// Guarded by Run.mu.
type past struct {
	frames []*frame.Frame // oldest first
	bytes  int
}

// keep holds on to a frame if it is such sound.
func (p *past) keep(f *frame.Frame) {
	if f.IsVideo() || f.Derived || SoundAAC.Is(f.Track) {
		return
	}
	p.frames = append(p.frames, f)
	p.bytes += len(f.Payload)
	n := 0
	for ; len(p.frames)-n > maxPast || p.bytes > maxPastBytes || f.DTS-p.frames[n].DTS > SoundKept; n++ {
		p.bytes -= len(p.frames[n].Payload)
	}
	clear(p.frames[:n])
	p.frames = p.frames[n:]
}

// since is a copy of what is kept from a time on.
func (p *past) since(at time.Duration) []*frame.Frame {
	i := len(p.frames)
	for i > 0 && p.frames[i-1].DTS >= at {
		i--
	}
	return slices.Clone(p.frames[i:])
}

// SoundSince is what the source sent in another form than this one since a time of
// the run, as far back as SoundKept, converted to it at once: beside what is
// converted live. The frames may be part of what was asked for, with the error that
// says why.
func (r *Run) SoundSince(ctx context.Context, form Sound, at time.Duration) ([]*frame.Frame, error) {
	conv := r.stream.hub.cfg.Converter
	if conv == nil {
		return nil, ErrNoConverter
	}
	r.mu.Lock()
	sound := r.past.since(at)
	for _, e := range r.frames {
		if !e.IsVideo() && !e.Derived && e.DTS >= at {
			sound = append(sound, e.Frame)
		}
	}
	c := r.conversions[form.made()]
	if c == nil {
		c = r.convertSound(form.made())
	}
	r.mu.Unlock()
	sound = slices.DeleteFunc(sound, func(f *frame.Frame) bool { return form.Is(f.Track) })
	if len(sound) == 0 {
		return nil, nil
	}
	made, err := conv.ConvertAll(ctx, sound, form.made())
	for _, f := range made {
		f.Track, f.Derived = c.track, true
	}
	return made, err
}
