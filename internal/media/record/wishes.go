package record

import (
	"context"
	"time"

	"glimpse/internal/media/hub"
)

// desk is what is wished for one stream. Guarded by Recorder.mu.
type desk struct {
	policy  Policy
	wish    wish
	by      string        // the app that asked
	changed chan struct{} // closed and replaced when the wish changes
	now     string        // id of the recording in progress
	run     *hub.Run      // that is followed
	after   string        // id of a recording that the next one continues
	until   time.Time     // when a run that a restart interrupted must be back; zero: there is none
}

// wish overrides a policy until the run's end.
type wish uint8

const (
	byPolicy wish = iota
	wanted
	unwanted
)

// desk returns a stream's. Recorder.mu is held.
func (r *Recorder) desk(stream string) *desk {
	d := r.desks[stream]
	if d == nil {
		d = &desk{policy: r.cfg.Policy, changed: make(chan struct{})}
		r.desks[stream] = d
	}
	return d
}

// on reports whether the stream is to be recorded now.
func (d *desk) on() bool { return d.wish == wanted || d.wish == byPolicy && d.policy == Always }

func (d *desk) set(w wish, by string) {
	d.wish, d.by, d.until = w, by, time.Time{}
	close(d.changed)
	d.changed = make(chan struct{})
}

// SetPolicy gives a stream a policy of its own, before it is opened. Forget takes
// it back.
func (r *Recorder) SetPolicy(stream string, p Policy) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.desk(stream).policy = p
}

// Policy of a stream.
func (r *Recorder) Policy(stream string) Policy {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.desks[stream]; d != nil {
		return d.policy
	}
	return r.cfg.Policy
}

// Forget ends what is known of a stream that is deleted. Its recordings stay.
func (r *Recorder) Forget(stream string) {
	r.mu.Lock()
	delete(r.desks, stream)
	r.mu.Unlock()
	r.keep()
}

// startWait is how long Start waits for a recording of a live stream to begin.
const startWait = 2 * time.Second

// Start asks for a stream to be recorded until Stop or the end of its run, by an
// app or, when by is empty, the operator. It returns the recording, which may be
// one that was in progress already; of a stream that is not live there is none
// yet (ok is false), and its next run will be recorded. Errors: ErrNever, ErrQuota,
// ErrDiskFull, or ctx's.
func (r *Recorder) Start(ctx context.Context, s *hub.Stream, by string) (info Info, ok bool, err error) {
	want := Info{Stream: s.ID(), Wearer: wearerOf(s)}
	if r.overQuota(&want) {
		return info, false, ErrQuota
	}
	r.mu.Lock()
	d := r.desk(s.ID())
	if d.policy == Never {
		r.mu.Unlock()
		return info, false, ErrNever
	}
	if info, ok = r.current(d); ok {
		r.mu.Unlock()
		return info, true, nil
	}
	if err := r.room(); err != nil {
		r.mu.Unlock()
		return info, false, err
	}
	d.set(wanted, by)
	r.mu.Unlock()
	r.keep()
	for deadline := time.Now().Add(startWait); s.State() == hub.StateLive && time.Now().Before(deadline); {
		r.mu.Lock()
		info, ok = r.current(d)
		r.mu.Unlock()
		if ok {
			break
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return info, false, ctx.Err()
		}
	}
	return info, ok, nil
}

// Stop ends the recording of a stream, and returns it; ok is false when there was
// none. A stream that is always recorded begins again with its next run. It waits
// until the file is finished, or ctx ends.
func (r *Recorder) Stop(ctx context.Context, stream string) (info Info, ok bool, err error) {
	r.mu.Lock()
	d := r.desk(stream)
	info, ok = r.current(d)
	if d.run == nil {
		d.set(byPolicy, "")
	} else {
		d.set(unwanted, "")
	}
	d.after = ""
	r.clean(stream, d)
	r.mu.Unlock()
	r.keep()
	if !ok {
		return info, false, nil
	}
	for {
		now, there := r.lib.Get(info.ID)
		if !there {
			return info, false, nil
		}
		if !now.State.open() {
			return now, true, nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return now, true, ctx.Err()
		}
	}
}

// Current returns a stream's recording in progress.
func (r *Recorder) Current(stream string) (Info, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.desks[stream]; d != nil {
		return r.current(d)
	}
	return Info{}, false
}

// current is the recording in progress, once it has a file. Recorder.mu is held.
func (r *Recorder) current(d *desk) (Info, bool) {
	if d.now == "" {
		return Info{}, false
	}
	info, ok := r.lib.Get(d.now)
	return info, ok && info.State.open()
}

// seat notes which recording of a stream is in progress, in place of another.
func (r *Recorder) seat(stream, before, id string) {
	r.mu.Lock()
	if d := r.desks[stream]; d != nil && (d.now == before || id != "") {
		d.now = id
	}
	r.mu.Unlock()
	r.keep()
}
