package hub

import (
	"context"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

// maxBatch bounds what one Next hands out, so that a reader which catches up
// does not hold the ring's lock for long.
const maxBatch = 512

// ReaderOptions say where and how a reader follows.
type ReaderOptions struct {
	// Live starts at the next key frame; otherwise at the newest one, so that
	// the picture is there at once. When what followed it is no longer kept, it
	// comes alone and the next is the next key frame.
	Live bool
	// PictureWake lets sound wait in the ring for the next picture: Next
	// returns when a picture came, with the sound before it, or when sound has
	// waited for 40 ms of its time.
	PictureWake bool
	// Sound is the form in which sound is wanted. A stream that sends another
	// is converted while such a reader is there (see Run.Need), unless Passive.
	Sound Sound
	// Passive takes converted sound only while others need it.
	Passive bool
	// SoundOnly leaves the pictures out and starts with the sound of the last
	// Back, as far as the ring reaches.
	SoundOnly bool
	Back      time.Duration
	// Fill puts silence where the stream has no sound, so that there always is
	// some: destinations insist on it. See Run.Steady for the form.
	Fill bool
}

// Reader is a cursor in a run's ring, for one goroutine. It costs the publisher
// one channel operation a frame and never makes it wait.
type Reader struct {
	run     *Run
	options ReaderOptions
	wake    chan struct{}
	dropped atomic.Uint64
	release func() // ends the need for converted sound

	// guarded by Run.mu
	quiet    bool          // nothing waits in the ring for more
	since    time.Duration // DTS of the first that does
	patience time.Duration // see SetPatience
	excused  uint64        // what came before was left to wait: that is no lag

	next    uint64         // index of the next frame
	waitKey bool           // skip to a key frame
	begun   bool           // something was handed out: what is skipped from now on is lost
	heard   time.Duration  // PTS of the newest sound handed out, with Sound
	from    time.Duration  // SoundOnly: DTS to begin with
	early   []*frame.Frame // what has left the ring, to begin with: a key frame or sound
	filler  filler
}

// Subscribe returns a reader; Close it.
func (r *Run) Subscribe(o ReaderOptions) *Reader {
	rd := &Reader{run: r, options: o, wake: make(chan struct{}, 1), release: func() {}, quiet: true, heard: -1 << 62}
	if o.Sound != SoundAsSent && !o.Passive {
		rd.release = r.Need(o.Sound)
	}
	if o.Fill {
		rd.filler.track = &frame.Track{Codec: codec.StandardAAC()}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case o.SoundOnly:
		rd.next, rd.from = r.back(o.Back)
		rd.excused = r.base + uint64(len(r.frames)) // it begins behind because it asked to
	case r.hasKey && !o.Live:
		rd.next = r.key
	default:
		rd.next, rd.waitKey = r.base+uint64(len(r.frames)), true
		if !o.Live && r.newest != nil {
			rd.early = []*frame.Frame{r.newest} // its group outgrew the ring: better than nothing
		}
	}
	r.readers = append(r.readers, rd)
	r.listen(1)
	rd.signal()
	return rd
}

// back is the index of the first frame of the last d, and the time of that.
func (r *Run) back(d time.Duration) (first uint64, from time.Duration) {
	n := len(r.frames)
	if n == 0 {
		return r.base, -1 << 62
	}
	newest := r.frames[n-1].DTS
	for n > 0 && newest-r.frames[n-1].DTS <= d {
		n--
	}
	return r.base + uint64(n), newest - d
}

// Tracks returns the tracks in force for this reader: video first, then the
// sound in the form that it takes, if there is any or will be.
func (rd *Reader) Tracks() []*frame.Track {
	r := rd.run
	r.mu.RLock()
	defer r.mu.RUnlock()
	var tracks []*frame.Track
	if r.video != nil && !rd.options.SoundOnly {
		tracks = append(tracks, r.video)
	}
	if t := rd.sound(); t != nil {
		tracks = append(tracks, t)
	}
	return tracks
}

// sound is the track in force for this reader, or nil. Run.mu is held.
func (rd *Reader) sound() *frame.Track {
	r := rd.run
	c := r.conversions[rd.options.Sound.made()]
	switch {
	case r.audio != nil && rd.options.Sound.Is(r.audio):
		return r.audio
	case c != nil && (rd.options.Fill || c.cancel != nil && c.problem == nil):
		return c.track
	}
	return rd.filler.track
}

// takes reports whether a frame is for this reader.
func (rd *Reader) takes(f *frame.Frame) bool {
	switch {
	case f.IsVideo():
		return !rd.options.SoundOnly
	case !f.Derived:
		return rd.options.Sound.Is(f.Track)
	case rd.options.Sound == SoundAsSent:
		return false
	}
	c := rd.run.conversions[rd.options.Sound.made()]
	return c != nil && c.track == f.Track && (rd.run.audio == nil || !rd.options.Sound.Is(rd.run.audio))
}

// wakes reports whether a frame that was just added must wake Next. Run.mu is held.
func (rd *Reader) wakes(f *frame.Frame) bool {
	wait := rd.patience
	if wait == 0 && rd.options.PictureWake && !f.IsVideo() {
		wait = maxSoundWait
	}
	switch {
	case !rd.takes(f):
		return false
	case wait == 0:
	case rd.quiet:
		rd.quiet, rd.since = false, f.DTS
		return false
	case f.DTS-rd.since <= wait:
		return false
	}
	rd.quiet = true
	return true
}

// signal wakes Next. Never blocks.
func (rd *Reader) signal() {
	select {
	case rd.wake <- struct{}{}:
	default:
	}
}

// Next waits until there is a frame and returns all that are there (at most
// 512), appended to buf[:0]. The first frame of a reader, and the first after a
// loss, is a key frame. Frames are shared and read-only. Errors: io.EOF when
// the run is over and everything was read, ctx.Err().
func (rd *Reader) Next(ctx context.Context, buf []*frame.Frame) ([]*frame.Frame, error) {
	for {
		buf, ended := rd.take(buf[:0])
		if len(buf) > 0 {
			return buf, nil
		}
		if ended {
			return nil, io.EOF
		}
		select {
		case <-rd.wake:
		case <-rd.run.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take copies what is there.
func (rd *Reader) take(buf []*frame.Frame) (_ []*frame.Frame, ended bool) {
	r := rd.run
	r.mu.RLock()
	defer r.mu.RUnlock()
	end := r.base + uint64(len(r.frames))
	if rd.options.SoundOnly && !rd.begun {
		rd.begin()
	}
	rd.skip(end)
	buf, rd.early = append(buf, rd.early...), nil
	for rd.next < end && len(buf) < maxBatch {
		f := r.frames[rd.next-r.base].Frame
		rd.next++
		if !rd.takes(f) {
			continue
		}
		if rd.waitKey && !f.Key {
			if rd.begun {
				rd.dropped.Add(1)
			}
			continue
		}
		rd.waitKey, rd.begun = false, true
		if rd.options.Sound != SoundAsSent && !f.IsVideo() {
			if f.PTS <= rd.heard { // what a conversion still had when the source changed: no loss
				continue
			}
			rd.heard = f.PTS
		}
		if rd.options.Fill {
			buf = rd.fill(buf, f)
			continue
		}
		buf = append(buf, f)
	}
	if rd.next < end {
		rd.signal() // the rest of a large batch
	}
	return buf, r.ended && rd.next >= end
}

// begin puts what a reader of sound starts with in front of the ring, as far as it has
// left that: before the reader subscribed, or since.
func (rd *Reader) begin() {
	if r := rd.run; rd.next <= r.base {
		early := r.past.since(rd.from)
		rd.next, rd.early = r.base, slices.DeleteFunc(early, func(f *frame.Frame) bool { return !rd.takes(f) })
		rd.begun = len(rd.early) > 0
	}
}

// skip moves a cursor that fell out of the ring, or too far behind, to the
// newest key frame.
func (rd *Reader) skip(end uint64) {
	r := rd.run
	lost := rd.next < r.base
	if !lost && r.hasKey && rd.next < r.key && rd.patience == 0 && rd.next >= rd.excused {
		last, at := r.frames[len(r.frames)-1], r.frames[rd.next-r.base]
		lost = last.at-at.at > r.stream.hub.cfg.MaxLag
	}
	if !lost {
		return
	}
	to := end
	if rd.options.SoundOnly {
		rd.dropped.Add(to - rd.next)
		rd.next = to
		return
	}
	if r.hasKey && r.key >= rd.next {
		to = r.key
	}
	rd.dropped.Add(to - rd.next)
	rd.next, rd.waitKey = to, true
}

// Dropped counts the frames this reader lost by being slow.
func (rd *Reader) Dropped() uint64 { return rd.dropped.Load() }

// Close ends the reader. It is idempotent and may be called from anywhere, but
// does not wake a Next in progress: end its context for that.
func (rd *Reader) Close() {
	rd.release()
	r := rd.run
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(r.readers, rd); i >= 0 {
		r.readers = slices.Delete(r.readers, i, i+1)
		if rd.patience == 0 {
			r.listen(-1)
		}
		r.stream.lost.Add(rd.Dropped())
	}
}
