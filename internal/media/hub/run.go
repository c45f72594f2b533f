package hub

import (
	"math/rand/v2"
	"sync"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

// Run is one life of a stream on one timeline: from a first key frame through
// drops and resumes to the end of the resume window. Its ring keeps the newest
// groups of pictures, so a new reader has a picture at once.
type Run struct {
	stream *Stream
	start  time.Time
	rtp    uint32 // what RTP calls time 0
	done   chan struct{}

	mu      sync.RWMutex
	ended   bool
	frames  []entry // the ring, oldest first
	arrival arrival
	base    uint64 // index of frames[0]
	past    past   // sound that has left the ring
	bytes   int
	keys
	video   *frame.Track
	audio   *frame.Track
	readers []*Reader
	ears

	conversions map[Sound]*conversion // of the sound, made by Need
	straight    *conversion           // of the pictures, made by Straight
}

// keys are a ring's key frames.
type keys struct {
	key     uint64 // index of the newest
	prevKey uint64 // of the one before
	hasKey  bool   // the newest is still in the ring
	newest  *frame.Frame
}

// entry is a frame and when it came, by the run's arrival. A backlog that comes
// all at once must not look like readers that lag.
type entry struct {
	*frame.Frame
	at time.Duration
}

// arrival is the clock of what comes. It stands after a second in which nothing does: a
// reader that has a frame left then, as sound that waits for a picture, is not late by a
// publisher's silence, or a stall of ours, when what was missing comes all at once.
type arrival struct{ last, sum time.Duration }

// at counts what comes at a time since the run's start.
func (a *arrival) at(now time.Duration) time.Duration {
	a.sum += min(max(now-a.last, 0), time.Second)
	a.last = max(a.last, now)
	return a.sum
}

// frameCost is what a frame takes besides its payload: a source of empty frames
// is bounded too.
const frameCost = 200

// maxSoundWait is how much sound may wait for a picture before it wakes readers
// that wait for pictures (MEDIA R2).
const maxSoundWait = 40 * time.Millisecond

func newRun(s *Stream, start time.Time) *Run {
	return &Run{stream: s, start: start, rtp: rand.Uint32(), done: make(chan struct{}), ears: ears{stir: make(chan struct{}, 1)}}
}

// Stream that this is a run of.
func (r *Run) Stream() *Stream { return r.stream }

// Start is the wall clock of time 0 of the timeline.
func (r *Run) Start() time.Time { return r.start }

// RTPBase is the RTP timestamp of time 0 for all who are sent this run's pictures
// by RTP, and so for all who are told of them.
func (r *Run) RTPBase() uint32 { return r.rtp }

// Done is closed when the run is over.
func (r *Run) Done() <-chan struct{} { return r.done }

// Tracks returns the tracks in force: video first, then audio if there is any.
func (r *Run) Tracks() []*frame.Track {
	r.mu.RLock()
	defer r.mu.RUnlock()
	tracks := []*frame.Track{r.video}
	if r.audio != nil {
		tracks = append(tracks, r.audio)
	}
	return tracks
}

// KeyFrame returns the newest key frame.
func (r *Run) KeyFrame() *frame.Frame {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.newest
}

// joinable reports whether a new reader gets all pictures since a key frame.
func (r *Run) joinable() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.hasKey
}

// inForce returns the track in force when t has the same parameters, so that
// whoever compares pointers sees no change where there is none; otherwise t.
func (r *Run) inForce(t *frame.Track) *frame.Track {
	r.mu.RLock()
	now := r.video
	if t.Kind() == frame.Audio {
		now = r.audio
	}
	r.mu.RUnlock()
	if now != nil && now != t && codec.Same(now.Codec, t.Codec) {
		return now
	}
	return t
}

// announce returns the payload of a key frame of t. When its parameters are not
// those of the pictures before, they are put into the payload too: some readers
// hear only of the first ones (ffmpeg skips every later init of an HLS stream).
func (r *Run) announce(t *frame.Track, payload []byte) []byte {
	r.mu.RLock()
	before := r.video
	r.mu.RUnlock()
	if t == before {
		return payload
	}
	if is, ok := t.Codec.(codec.Video); ok && !codec.Same(before.Codec, is) {
		return is.InBand(payload)
	}
	return payload
}

// append puts f, which came at the time given since the start, into the ring, its
// track in force, trims the ring and wakes readers.
func (r *Run) append(f *frame.Frame, at time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	index := r.base + uint64(len(r.frames))
	r.frames = append(r.frames, entry{f, r.arrival.at(at)})
	r.bytes += len(f.Payload) + frameCost
	if f.Key {
		r.prevKey, r.key, r.newest = r.key, index, f
		if !r.hasKey {
			r.prevKey = index
		}
		r.hasKey = true
	}
	r.trim()
	switch {
	case f.IsVideo():
		r.video = f.Track
	case !f.Derived && r.audio != f.Track:
		r.audio = f.Track
		r.reconsider()
	}
	for _, rd := range r.readers {
		if rd.wakes(f) {
			rd.signal()
		}
	}
}

// trim drops what no reader needs any more: what lies before the last key frame
// but one and longer ago than a reader may lag; and more when the ring is over its
// bound.
func (r *Run) trim() {
	cfg := &r.stream.hub.cfg
	back := r.frames[len(r.frames)-1].at - cfg.MaxLag
	n := 0
	keep, kept := uint64(0), false
	for n < len(r.frames)-1 {
		spare := r.hasKey && r.base+uint64(n) < r.prevKey && r.frames[n].at < back
		if spare {
			if !kept {
				keep, kept = r.left(), true
			}
			spare = r.base+uint64(n) < keep
		}
		if !spare && r.bytes <= cfg.RingBytes {
			break
		}
		r.bytes -= len(r.frames[n].Payload) + frameCost
		n++
	}
	if n == 0 {
		return
	}
	for _, e := range r.frames[:n] {
		r.past.keep(e.Frame)
	}
	// The head is given up by slicing; append copies what is left to a new array
	// when the old one is used up, which costs each frame one copy on average.
	clear(r.frames[:n])
	r.frames, r.base = r.frames[n:], r.base+uint64(n)
	if r.hasKey && r.key < r.base {
		r.hasKey = false
	}
	r.prevKey = max(r.prevKey, r.base)
}

// end closes the run: readers get io.EOF after what is left.
func (r *Run) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	r.ended = true
	r.reconsider()
	close(r.done)
	for _, rd := range r.readers {
		rd.signal()
	}
}

// dropped counts what the readers that are here lost.
func (r *Run) dropped() uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	n := uint64(0)
	for _, rd := range r.readers {
		n += rd.Dropped()
	}
	return n
}
