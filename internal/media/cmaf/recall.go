package cmaf

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

// Nobody pays for sound that nobody hears: while it would have to be converted and
// nobody plays the store, silence stands in its place. Who rewinds, or clips, has
// what he asks for converted then (Recall), from what the run has kept as it was
// sent, by children that live as long as that takes.

const (
	// recalls is how often who asks waits: for what is being converted for others,
	// and for what he asked.
	recalls = 2
	// recallPatience is how long a player is kept waiting for it.
	recallPatience = 2500 * time.Millisecond
	// recallRest is how long nobody tries again what failed.
	recallRest = 5 * time.Second
	// recallEarly is converted before the time that was asked for, so that its first
	// packet is whole.
	recallEarly = 100 * time.Millisecond
)

// ErrNoSound says that sound of the past could not be converted.
var ErrNoSound = errors.New("the sound of this time could not be converted")

// recall is the part of an audience that is about the past. Guarded by audience.mu.
type recall struct {
	past    func(from time.Duration) ([]*frame.Frame, error) // converts; nil: nothing can be
	forgets context.CancelFunc                               // what is in progress
	working sync.WaitGroup
	busy    chan struct{} // closed when what is being converted is in the store
	ready   *memory       // what is to be placed
	placing bool          // it is being placed
	failed  time.Time     // when that was tried last in vain
	why     error
}

// memory is converted sound of the past.
type memory struct {
	from   time.Duration // media time
	frames []*frame.Frame
	all    bool // nothing is converted live: what is newer than the store is welcome
	failed bool // it could not be converted
}

// remember says how sound since a media time is converted, until forget.
func (a *audience) remember(ctx context.Context, past func(ctx context.Context, from time.Duration) ([]*frame.Frame, error)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ctx, a.forgets = context.WithCancel(ctx)
	a.past = func(from time.Duration) ([]*frame.Frame, error) { return past(ctx, from) }
}

// forget ends what is in progress and waits for it.
func (a *audience) forget() {
	a.mu.Lock()
	a.past = nil
	cancel := a.forgets
	a.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	a.working.Wait()
}

// Recall has the sound of the store, from a media time on, converted where silence
// stands in its place because nobody had asked for it, and waits until it is there:
// those who had a snapshot before find it in a new one. Without such silence it
// returns at once. Errors: ErrNoSound (for 5 s nobody tries again), ErrEnded, ctx's.
func (s *Store) Recall(ctx context.Context, from time.Duration) error {
	for range recalls {
		begin, lacks := s.lacks(from)
		if !lacks {
			break
		}
		busy, err := s.recall(begin)
		if err != nil {
			return err
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.done:
			return ErrEnded
		}
	}
	return nil
}

// RecallSegment is Recall from the beginning of a segment of sound, if all of it is
// so old that nobody who plays live asks for it.
func (s *Store) RecallSegment(ctx context.Context, number uint64) {
	seg := s.audio.Snapshot().Segment(number)
	if seg == nil || !seg.void || s.video.Snapshot().end()-seg.end() < soundLag {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, recallPatience)
	defer cancel()
	_ = s.Recall(ctx, duration(seg.Time, seg.Init.Timescale)) // else silence must do
}

// lacks reports whether silence stands for sound after a time, or none yet, and from
// which time on: whole segments are converted.
func (s *Store) lacks(from time.Duration) (begin time.Duration, lacks bool) {
	sound := s.audio.Snapshot()
	for _, seg := range sound.Segments {
		if seg.void && seg.end() > from {
			return duration(seg.Time, seg.Init.Timescale), true
		}
	}
	return sound.end(), s.audience.unplayed() && s.video.Snapshot().end()-sound.end() > time.Second
}

// unplayed reports whether sound has to be converted, and nobody has it done.
func (a *audience) unplayed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.release == nil && a.latent.Load()
}

// recall begins a conversion, or joins the one in progress.
func (s *Store) recall(from time.Duration) (busy <-chan struct{}, err error) {
	a := &s.audience
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.busy != nil:
		return a.busy, nil
	case a.past == nil:
		return nil, ErrEnded
	case time.Since(a.failed) < recallRest:
		return nil, fmt.Errorf("%w: %w", ErrNoSound, a.why)
	}
	done, past := make(chan struct{}), a.past
	a.busy = done
	a.working.Go(func() {
		frames, err := past(from - recallEarly)
		a.mu.Lock()
		defer a.mu.Unlock()
		if err != nil {
			a.failed, a.why = time.Now(), err
		}
		if a.past == nil {
			close(done)
			a.busy = nil
			return
		}
		a.ready = &memory{from: from, frames: frames, all: a.release == nil, failed: err != nil}
		a.wait(0) // the next frame brings it
	})
	return done, nil
}

// bring hands over what is to be placed; nil: nothing.
func (a *audience) bring() *memory {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := a.ready
	a.ready, a.placing = nil, m != nil
	return m
}

// placed says that it is in the store. mu is held.
func (a *audience) placed() {
	if !a.placing {
		return
	}
	close(a.busy)
	a.busy, a.placing = nil, false
	if a.release == nil {
		a.wait(patience)
	}
}

// recalled puts sound of the past in the place of silence.
func (m *muxer) recalled(memory *memory) {
	if memory == nil || !m.started {
		return
	}
	w := &m.audio
	if memory.failed {
		if memory.all { // who asked gets pictures with silence
			m.fill(m.front, never)
		}
		w.publish()
		return
	}
	v := voice{m: m, memory: memory}
	for i, seg := range w.segments {
		w.segments[i] = v.segment(seg)
	}
	w.open = v.segment(w.open)
	if w.part != nil && w.part.void { // nobody has it
		w.part = v.part(w.part)
	}
	if w.pending.void {
		w.pending.payload, w.pending.void = v.at(w.time, w.pending.payload), false
	}
	w.bytes += v.added
	m.budget.add(v.added)
	w.dirty = true
	if memory.all {
		for _, f := range memory.frames {
			if ticks(f.PTS+m.base, m.sound.rate) >= m.sound.head {
				m.hear(f)
			}
		}
		m.follow()
	}
	w.publish()
}

// voice finds the sound of a time.
type voice struct {
	m      *muxer
	memory *memory
	next   int   // of the frames: those before are too old
	added  int64 // bytes
}

// segment returns what stands in the place of a segment.
func (v *voice) segment(seg *Segment) *Segment {
	frames := v.memory.frames
	if seg == nil || !seg.void || seg.end() <= v.memory.from && seg.Closed {
		return seg
	}
	spoken := *seg
	spoken.void = false
	if len(frames) == 0 || !codec.Same(seg.Init.Codec, frames[0].Track.Codec) {
		return &spoken // it stays silent
	}
	spoken.Parts, spoken.Size = slices.Clone(seg.Parts), 0
	for i, p := range spoken.Parts {
		if p.void {
			p = p.replace(func(samples []sample) *Part { return v.speak(p, samples) })
			v.added += int64(p.Size - spoken.Parts[i].Size)
			spoken.Parts[i] = p
		}
		spoken.Size += p.Size
	}
	return &spoken
}

// part is speak for a part that is not closed.
func (v *voice) part(p *Part) *Part { return v.speak(p, p.samples) }

// speak returns a part whose silent samples have sound.
func (v *voice) speak(p *Part, samples []sample) *Part {
	spoken := &Part{Time: p.Time, Ticks: p.Ticks, Duration: p.Duration, Independent: p.Independent, Size: p.Size, Frames: p.Frames, sequence: p.sequence}
	spoken.samples = slices.Clone(samples)
	at := p.Time
	for i := range spoken.samples {
		s := &spoken.samples[i]
		if s.void {
			before := len(s.payload)
			s.payload, s.void = v.at(at, s.payload), false
			spoken.Size += len(s.payload) - before
		}
		at += uint64(s.duration)
	}
	return spoken
}

// at returns the packet that is nearest to a time, at most its own length away:
// packets of the past stand up to half of that beside the places that silence had
// (11 ms). Times rise from call to call.
func (v *voice) at(time uint64, silence []byte) []byte {
	place := func(i int) int64 {
		return int64(ticks(v.memory.frames[i].PTS+v.m.base, v.m.sound.rate)) - int64(time)
	}
	for v.next+1 < len(v.memory.frames) && abs(place(v.next+1)) <= abs(place(v.next)) {
		v.next++
	}
	if v.next < len(v.memory.frames) && abs(place(v.next)) <= int64(v.m.sound.still) {
		return v.memory.frames[v.next].Payload
	}
	return silence
}

func abs(n int64) int64 { return max(n, -n) }
