package cmaf

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

// The times of every store; playlists announce them.
const (
	// TargetDuration bounds segments, for ever: one without a key frame for so
	// long is cut all the same.
	TargetDuration = 12 * time.Second
	// PartTarget bounds parts. It is 5 % above the nominal 200 ms, so that the
	// usual frame rates, and timestamps rounded to milliseconds, give parts of
	// no less than 85 % of it. A single frame that lasts longer is a part.
	PartTarget = 210 * time.Millisecond
)

// ErrEnded is returned to those who wait for media of a run that is over.
var ErrEnded = errors.New("the run is over")

// Store is the media of one run. Its methods may be called concurrently.
type Store struct {
	prefix string
	video  *Rendition
	audio  *Rendition
	ready  chan struct{}
	done   chan struct{}
	once   sync.Once
	origin time.Time // set before the first segment is published

	audience audience
	form     hub.Sound // that the sound has, for the whole run
}

// newStore makes an empty store. prefix tells its files from those of other
// runs: [a-z0-9], without '-'.
func newStore(prefix string) *Store {
	s := &Store{prefix: prefix, ready: make(chan struct{}), done: make(chan struct{})}
	s.video = newRendition(s, frame.Video)
	s.audio = newRendition(s, frame.Audio)
	return s
}

// ID names the run among all runs. It is random, and no secret: the names of all
// files begin with it.
func (s *Store) ID() string { return s.prefix }

// Video is the pictures' rendition.
func (s *Store) Video() *Rendition { return s.video }

// Audio is the sound's rendition; a stream without sound has one of silence.
func (s *Store) Audio() *Rendition { return s.audio }

// Ready is closed when the init and a first part of every rendition are there:
// from then on the stream's URLs can be announced.
func (s *Store) Ready() <-chan struct{} { return s.ready }

// Done is closed when the run is over and nothing will be added.
func (s *Store) Done() <-chan struct{} { return s.done }

func (s *Store) end() { s.once.Do(func() { close(s.done) }) }

// Origin is the wall clock of media time 0: one for the whole run, as all frames
// are on one timeline. Ask when there is a segment: it is not known before.
func (s *Store) Origin() time.Time { return s.origin }

// Rendition is one track of a store.
type Rendition struct {
	store *Store
	kind  frame.Kind
	snap  atomic.Pointer[Snapshot]
}

func newRendition(s *Store, kind frame.Kind) *Rendition {
	r := &Rendition{store: s, kind: kind}
	r.snap.Store(&Snapshot{changed: make(chan struct{})})
	return r
}

// Kind of the track.
func (r *Rendition) Kind() frame.Kind { return r.kind }

// Snapshot returns what is there now.
func (r *Rendition) Snapshot() *Snapshot { return r.snap.Load() }

// publish replaces the snapshot and wakes those who wait.
func (r *Rendition) publish(s *Snapshot) {
	s.changed = make(chan struct{})
	close(r.snap.Swap(s).changed)
}

// Wait returns the first snapshot that holds part of segment number, or the
// whole segment when part is negative. A part past the segment's last is the
// next segment's first (RFC 8216bis §6.2.5.2). It ends with ctx's error, or
// ErrEnded; the snapshot of that moment is returned in every case.
func (r *Rendition) Wait(ctx context.Context, number uint64, part int) (*Snapshot, error) {
	for {
		s := r.snap.Load()
		if s.Has(number, part) {
			return s, nil
		}
		select {
		case <-s.changed:
		case <-ctx.Done():
			return s, ctx.Err()
		case <-r.store.done:
			return r.snap.Load(), ErrEnded
		}
	}
}

// Closed waits until n segments of each track are closed, the first of which the
// second picture closes. It ends with ctx's error, or ErrEnded.
func (s *Store) Closed(ctx context.Context, n uint64) error {
	for _, r := range []*Rendition{s.Video(), s.Audio()} {
		for now := r.Snapshot(); len(now.Segments) == 0 || now.Segments[0].Number+n > now.NextNumber; now = r.Snapshot() {
			select {
			case <-now.Changed():
			case <-ctx.Done():
				return ctx.Err()
			case <-s.done:
				return ErrEnded
			}
		}
	}
	return nil
}

// Snapshot is a rendition at one moment. It is immutable and may be kept.
type Snapshot struct {
	// Segments are consecutive, oldest first; each has at least one part. Only
	// the last may be open. Empty before the run's first key frame.
	Segments []*Segment
	// NextNumber and NextPart say which part will come next. That is certain:
	// its first sample is here already.
	NextNumber uint64
	NextPart   int

	changed chan struct{}
	derived sync.Map // key -> *derived
}

// Changed is closed when there is a newer snapshot.
func (s *Snapshot) Changed() <-chan struct{} { return s.changed }

// Has reports whether a part of segment number is here, or was; a negative part
// asks for the whole segment, and one past the last part of a closed segment
// for the first of the next.
func (s *Snapshot) Has(number uint64, part int) bool {
	if number != s.NextNumber {
		if number+1 == s.NextNumber && s.NextPart == 0 && part >= 0 {
			last := s.Segment(number)
			return last == nil || part < len(last.Parts)
		}
		return number < s.NextNumber
	}
	return part >= 0 && part < s.NextPart
}

// Segment returns a segment by number, nil when it is not here (any more).
func (s *Snapshot) Segment(number uint64) *Segment {
	if len(s.Segments) == 0 || number < s.Segments[0].Number {
		return nil
	}
	if i := number - s.Segments[0].Number; i < uint64(len(s.Segments)) {
		return s.Segments[i]
	}
	return nil
}

// end of the newest segment, so far.
func (s *Snapshot) end() time.Duration {
	if len(s.Segments) == 0 {
		return 0
	}
	return s.Segments[len(s.Segments)-1].end()
}

// Init returns an init by number, nil when no segment here refers to it.
func (s *Snapshot) Init(number int) *Init {
	for _, seg := range s.Segments {
		if seg.Init.Number == number {
			return seg.Init
		}
	}
	return nil
}

// Bandwidth is the highest bitrate of a closed segment, in bits a second; 0
// before there is one. The lead does not count.
func (s *Snapshot) Bandwidth() int {
	peak := 0
	for _, seg := range s.Segments {
		if seg.Closed && !seg.Lead && seg.Duration > 0 {
			peak = max(peak, int(int64(seg.Size)*8*int64(time.Second)/int64(seg.Duration)))
		}
	}
	return peak
}

// FrameRate is the access units a second of the newest segment that has any; 0
// when only the lead is there.
func (s *Snapshot) FrameRate() float64 {
	if len(s.Segments) == 0 {
		return 0
	}
	seg := s.Segments[len(s.Segments)-1]
	if seg.Lead || seg.Duration == 0 {
		return 0
	}
	n := 0
	for _, p := range seg.Parts {
		n += p.Frames
	}
	return float64(n) / seg.Duration.Seconds()
}

// derived is a value made once.
type derived struct {
	once  sync.Once
	value any
}

// Derive returns a view of the snapshot (a playlist, for example) that is made
// once, by whoever asks first, and lives as long as the snapshot. key names the
// view and must be comparable.
func (s *Snapshot) Derive(key any, build func(*Snapshot) any) any {
	d, ok := s.derived.Load(key)
	if !ok {
		d, _ = s.derived.LoadOrStore(key, new(derived))
	}
	v := d.(*derived)
	v.once.Do(func() { v.value = build(s) })
	return v.value
}
