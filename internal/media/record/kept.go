package record

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"time"
)

// What is wished outlives the process: a run that goes on after a restart is
// recorded, or not, as it was before.

const (
	// keptName is the file of the wishes, beside the recordings.
	keptName = "wishes"
	// keptFor is how long after a start a stream whose run was interrupted by it may
	// come back: later it is another run, and the wish was for the one before.
	keptFor = 10 * time.Minute
)

// keptWish is one stream's entry.
type keptWish struct {
	Record bool   `json:"record"`
	By     string `json:"by,omitempty"`  // the app that asked
	Now    string `json:"now,omitempty"` // id of the recording in progress
	Live   bool   `json:"live"`          // wished for a run in progress, not for the next one
}

// Stopping says that runs which end from now on were ended by the server: what is
// wished for them stays for its next start.
func (r *Recorder) Stopping() { r.stopping.Store(true) }

// keep writes what is wished.
func (r *Recorder) keep() {
	if r.stopping.Load() {
		return
	}
	r.keeping.Lock()
	defer r.keeping.Unlock()
	all := map[string]keptWish{}
	r.mu.Lock()
	for stream, d := range r.desks {
		if d.wish != byPolicy {
			all[stream] = keptWish{Record: d.wish == wanted, By: d.by, Now: d.now, Live: d.run != nil || !d.until.IsZero()}
		}
	}
	r.mu.Unlock()
	if maps.Equal(all, r.kept) {
		return
	}
	if err := r.write(all); err != nil { // what is wished holds until the process ends
		r.cfg.Log.Warn("what is to be recorded is not written", "error", err)
		return
	}
	r.kept = all
}

// write replaces the file; without a wish there is none.
func (r *Recorder) write(all map[string]keptWish) error {
	if len(all) == 0 {
		return r.disk.Remove(keptName)
	}
	data, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	return replace(r.disk, keptName, data)
}

// recall reads what was wished when the process before ended.
func (r *Recorder) recall() {
	var all map[string]keptWish
	if err := readJSON(r.disk, keptName, &all); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			r.cfg.Log.Warn("what was to be recorded cannot be read", "error", err)
		}
		return
	}
	for stream, k := range all {
		d := r.desk(stream)
		d.by, d.after, d.wish = k.By, k.Now, unwanted
		if k.Record {
			d.wish = wanted
		}
		if k.Live {
			d.until = r.cfg.now().Add(keptFor)
		}
	}
	r.kept = all
}

// lapse ends wishes for runs that did not come back.
func (r *Recorder) lapse(now time.Time) {
	r.mu.Lock()
	for stream, d := range r.desks {
		if d.run == nil && !d.until.IsZero() && now.After(d.until) {
			d.set(byPolicy, "")
			d.after = ""
			r.clean(stream, d)
		}
	}
	r.mu.Unlock()
	r.keep()
}

// clean forgets a desk that says nothing. Recorder.mu is held.
func (r *Recorder) clean(stream string, d *desk) {
	if d.wish == byPolicy && d.run == nil && d.policy == r.cfg.Policy {
		delete(r.desks, stream)
	}
}

// readJSON reads a small file of ours.
func readJSON(d disk, name string, into any) (err error) {
	f, size, err := d.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b := make([]byte, min(size, maxSidecar))
	if _, err := f.ReadAt(b, 0); err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}
