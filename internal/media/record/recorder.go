package record

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"glimpse/internal/media/hub"
)

// Recorder records the streams of a hub. Its methods may be called concurrently.
// Make it with New, give its Output to the hub, and Close it after the hub.
type Recorder struct {
	cfg  Config
	disk disk
	lib  *Library

	scans    scans
	clips    chan struct{} // one a clip that is being made
	failures atomic.Uint64
	low      atomic.Bool // there is too little room; looked at once a second
	stop     context.CancelFunc
	tending  sync.WaitGroup

	stopping atomic.Bool
	keeping  sync.Mutex          // orders the writes of what is wished; before mu
	kept     map[string]keptWish // as it is on the disk; guarded by keeping

	mu    sync.Mutex
	desks map[string]*desk // by stream
}

// Stats of a Recorder.
type Stats struct {
	Active   int    // recordings in progress
	Paused   int    // of these, that wait for their disk
	Files    int    // recordings and clips
	Bytes    int64  // of these
	Failures uint64 // times that a disk took nothing
}

// New opens the folder and begins to finish what a killed process left there.
func New(cfg Config) (*Recorder, error) {
	cfg = cfg.withDefaults()
	d := cfg.disk
	if d == nil {
		f, err := openFolder(cfg.Dir)
		if err != nil {
			return nil, err
		}
		d = f
	}
	r := &Recorder{cfg: cfg, disk: d, lib: newLibrary(d, cfg.Log), clips: make(chan struct{}, maxClips), desks: map[string]*desk{}}
	if err := r.lib.load(); err != nil {
		return nil, err
	}
	r.recall()
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	r.look()
	r.tending.Go(func() { r.tend(ctx) })
	return r, nil
}

// Close waits for what the Recorder itself does. Recordings in progress end with
// the hub's outputs.
func (r *Recorder) Close() {
	r.stop()
	r.tending.Wait()
	if f, ok := r.disk.(*folder); ok {
		_ = f.root.Close()
	}
}

// Library is what was recorded.
func (r *Recorder) Library() *Library { return r.lib }

// Stats returns the counters.
func (r *Recorder) Stats() Stats {
	st := Stats{Failures: r.failures.Load()}
	for _, in := range r.lib.List() {
		st.Files++
		st.Bytes += in.Bytes
		switch in.State {
		case Active:
			st.Active++
		case Paused:
			st.Active++
			st.Paused++
		case Unfinished, Finished:
		}
	}
	return st
}

func (r *Recorder) tell(kind EventKind, info Info, reason string) {
	r.cfg.Notify(Event{Kind: kind, Info: info, Reason: reason})
}

// Output records one run as it is wished: a hub.Output.
func (r *Recorder) Output(ctx context.Context, run *hub.Run) {
	stream, after := run.Stream().ID(), ""
	for ctx.Err() == nil {
		r.mu.Lock()
		d := r.desk(stream)
		if d.after != "" { // before a restart
			after = d.after
		}
		d.run, d.after, d.until = run, "", time.Time{}
		on, by, changed := d.on(), d.by, d.changed
		r.mu.Unlock()
		if !on {
			after = ""
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		after = r.take(ctx, run, changed, by, after)
	}
	r.mu.Lock()
	if d := r.desks[stream]; d != nil && d.run == run { // the next run has not begun
		d.wish, d.by, d.run = byPolicy, "", nil
		r.clean(stream, d)
	}
	r.mu.Unlock()
	r.keep()
}

// take records until the wish changes or the file ends; it returns the id of a
// recording that is to be continued by another.
func (r *Recorder) take(ctx context.Context, run *hub.Run, changed <-chan struct{}, by, after string) (next string) {
	s := run.Stream()
	info := Info{
		ID: newID(r.cfg.now()), Key: newKey(), Kind: Recording, Stream: s.ID(), Wearer: wearerOf(s), By: by,
		State: starting, Started: r.cfg.now().UTC(), After: after,
	}
	if s.Standing() {
		info.Name = s.Name()
	}
	if r.overQuota(&info) {
		r.refuse(ctx, info, changed)
		return ""
	}
	r.lib.add(info, true)
	r.seat(s.ID(), "", info.ID)
	defer r.seat(s.ID(), info.ID, "")
	life, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { // ends the take when the wish changes
		select {
		case <-changed:
			cancel()
		case <-life.Done():
		}
	})
	defer watching.Wait()
	defer cancel()
	t := newTake(r, run, info)
	switch err := t.record(life); {
	case err == nil:
		return ""
	case errors.Is(err, errOther), errors.Is(err, errPaused):
		return info.ID
	case errors.Is(err, ErrQuota):
		return "" // the next round refuses
	default:
		t.log.Error("the stream cannot be recorded", "error", err)
		r.tell(EventFailed, info, "The stream cannot be recorded: "+err.Error()+".")
		select {
		case <-changed:
		case <-ctx.Done():
		}
		return ""
	}
}

// refuse tells that the quota is used up and waits until there is room, or
// something else is wished.
func (r *Recorder) refuse(ctx context.Context, info Info, changed <-chan struct{}) {
	r.tell(EventFailed, info, "The stream is not recorded: "+ErrQuota.Error()+".")
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for r.overQuota(&info) {
		select {
		case <-tick.C:
		case <-changed:
			return
		case <-ctx.Done():
			return
		}
	}
}

// wearerOf is whose glasses the stream comes from; empty for a standing stream.
func wearerOf(s *hub.Stream) string {
	if s.Standing() {
		return ""
	}
	return s.Name()
}

// overQuota reports whether the owner of a recording may have no more.
func (r *Recorder) overQuota(info *Info) bool {
	return r.cfg.Quota > 0 && r.lib.used(info.owner()) >= r.cfg.Quota
}

// room says why nothing may be written: ErrDiskFull.
func (r *Recorder) room() error {
	if r.low.Load() {
		return ErrDiskFull
	}
	return nil
}

// look looks how much room there is.
func (r *Recorder) look() {
	s, ok := r.disk.(space)
	if !ok {
		return
	}
	free, total, err := s.Space()
	low := err == nil && tooLittle(free, total, r.cfg.MinFree)
	if r.low.Swap(low) != low && low {
		r.cfg.Log.Warn("there is too little room: nothing is recorded", "free", free, "total", total)
	}
}

// Delete removes a recording or clip. Errors: ErrUnknown, ErrBusy while it is in
// progress, or the disk's.
func (r *Recorder) Delete(id string) error {
	info, err := r.lib.remove(id)
	if err != nil {
		return err
	}
	r.tell(EventDeleted, info, "")
	return nil
}

// tend finishes what is unfinished, deletes what is no longer kept, and looks at
// the room that there is, until ctx ends.
func (r *Recorder) tend(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		r.look()
		r.lapse(r.cfg.now())
		r.finishAll(ctx)
		for _, id := range r.cfg.expired(r.lib.List(), r.cfg.now()) {
			info, err := r.lib.remove(id)
			if err != nil {
				r.cfg.Log.Warn("a recording that is no longer kept stays", "recording", id, "error", err)
				continue
			}
			r.tell(EventDeleted, info, "It was kept as long as recording.max_age and max_size allow.")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
