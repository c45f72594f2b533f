package hub

import (
	"context"

	"glimpse/internal/media/frame"
)

// Straight returns a run with the pictures of this one in the order in which they
// are shown, on the same timeline and without sound: one for all who ask. It is
// made from the newest key frame on, until release is called by the last of them
// and for 10 s more; then it ends, and the next gets another one. It fails with
// the converter's reason, or ErrEnded. release is idempotent.
func (r *Run) Straight() (straight *Run, release func(), err error) {
	if err := r.stream.hub.available(); err != nil {
		return nil, nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return nil, nil, ErrEnded
	}
	if r.straight == nil {
		r.straight = r.straighten()
	}
	release = r.straight.use(&r.straight.users)
	return r.straight.sink.to, release, nil
}

// straighten makes the conversion of the pictures. Run.mu is held.
func (r *Run) straighten() *conversion {
	c := &conversion{run: r, wanted: func() bool { return true }}
	c.work = func(conv Converter) func(context.Context) error {
		straight := newRun(r.stream, r.start)
		straight.rtp = r.rtp
		sink := &PictureSink{sink{c, straight}}
		c.sink = &sink.sink
		return func(ctx context.Context) error { return conv.Straighten(ctx, r, sink) }
	}
	return c
}

// PictureSink takes what a Converter makes of pictures. Its methods are for one
// goroutine.
type PictureSink struct{ sink }

// Write adds a picture, whose times are on the timeline of the run that is
// converted and never go back. The frame is handed over.
func (k *PictureSink) Write(f *frame.Frame) { k.write(f) }
