package hub

import (
	"sync/atomic"
	"time"
)

// While nobody needs a stream's frames at once, most of what it costs is waking up
// for each of them: a packet comes, the system wakes a thread, that a goroutine,
// that another. Then both ends of the ring take their time: a reader that says so
// is woken for many frames together (SetPatience), and a publisher's goroutine
// leaves what comes in the socket for a moment (Rest). The first reader that wants
// frames at once ends both.

const (
	// restTime is how long a publisher's goroutine rests. All rest until the same
	// moments, so that one waking serves all.
	restTime = 100 * time.Millisecond
	// restAfter the run's beginning: until then somebody waits for the stream.
	restAfter = 2 * time.Second
)

// ears counts the readers that want frames at once.
type ears struct {
	eager atomic.Int32
	stir  chan struct{} // has something when there is a first one
}

// listen counts n more.
func (e *ears) listen(n int32) {
	if e.eager.Add(n) == 1 && n > 0 {
		select {
		case e.stir <- struct{}{}:
		default:
		}
	}
}

// SetPatience lets frames wait in the ring until they span d (of DTS) before Next
// returns; 0, as a reader begins, takes each at once, and what waits now. It may be
// called from anywhere until Close. It reports whether frames wait. The publisher rests while all readers are
// patient, so frames come up to 100 ms later still.
func (rd *Reader) SetPatience(d time.Duration) (waiting bool) {
	r := rd.run
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case rd.patience == 0 && d != 0:
		r.listen(-1)
	case rd.patience != 0 && d == 0:
		r.listen(1)
		rd.quiet = true
		rd.signal()
	}
	rd.patience, rd.excused = d, r.base+uint64(len(r.frames))
	return rd.next < rd.excused
}

// Calm reports whether the publisher is the source of a run whose frames nobody
// needs at once.
func (p *Publisher) Calm() bool { return p.calm() != nil }

func (p *Publisher) calm() *Run {
	s := p.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.source != p || s.run == nil || s.run.eager.Load() != 0 || time.Since(s.run.start) < restAfter {
		return nil
	}
	return s.run
}

// Rest waits for a moment, at most 100 ms, while nobody needs the frames at once:
// what the peer sends meanwhile waits in its socket and is read together. Call it
// when there is nothing more to read. It ends early with the publisher and with the
// first reader in a hurry.
func (p *Publisher) Rest() {
	run := p.calm()
	if run == nil {
		return
	}
	wait := restTime - time.Duration(time.Now().UnixNano())%restTime
	if p.rest == nil {
		p.rest = time.NewTimer(wait)
	} else {
		p.rest.Reset(wait)
	}
	select {
	case <-p.rest.C:
	case <-run.stir:
	case <-p.done:
	case <-run.done:
	}
}

// left is the index of the first frame that a patient reader has not taken. Run.mu
// is held.
func (r *Run) left() uint64 {
	first := r.base + uint64(len(r.frames))
	for _, rd := range r.readers {
		if rd.patience != 0 {
			first = min(first, rd.next)
		}
	}
	return first
}
