package cmaf

import (
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

const (
	// firstPicture is the media time at which the first key frame is shown: the
	// lead stands before it, and times stay small (a double carries them
	// exactly; dash.js waits for seconds with Unix time).
	firstPicture = 10 * time.Second

	// maxReorder bounds the first key frame's composition offset, which moves the
	// beginning before firstPicture: 16 pictures of H.264 at 4 a second.
	maxReorder = 4 * time.Second

	leadParts = 10
	leadStep  = 200 * time.Millisecond

	// minSegment is nominally 2 s: a key frame that comes a little early cuts.
	minSegment = 1800 * time.Millisecond

	// maxHeld bounds the sound that waits for the picture's front, in frames.
	maxHeld = 14
	// maxMissing is how long the picture may run ahead of the arrival of sound
	// before silence is carried instead.
	maxMissing = 500 * time.Millisecond

	// nominalPicture is a picture's length when nothing else is known.
	nominalPicture = videoTimescale / 30
)

// cut is a segment boundary that the picture decided and sound has yet to reach.
// Times are media time.
type cut struct {
	start  time.Duration // of the new segment
	end    time.Duration // of the old one; start, unless there is a hole
	wall   time.Time     // of start
	broken bool
	breaks bool // a discontinuity
	audio  codec.Audio
}

// muxer turns a run's frames into a store: pure but for what it writes there.
// For one goroutine.
type muxer struct {
	store  *Store
	budget *budget
	window time.Duration
	bytes  int64 // the store's own limit
	now    func() time.Time

	video, audio writer
	picture      codec.Video   // of the open segment
	base         time.Duration // media time of the run's time 0
	started      bool
	hole         bool          // frames were lost: the next key frame is a discontinuity
	front        time.Duration // media time of the newest picture

	sound   sound
	cuts    []cut       // that the sound has not reached
	inits   [2]int      // made so far
	early   func(n int) // told when segments are dropped early
	failure error
}

// lost says that frames are missing before the next one.
func (m *muxer) lost() { m.hole = true }

// setSource tells the sound track in force; nil for none.
func (m *muxer) setSource(t *frame.Track) { m.sound.source = t }

// frame adds a frame of the run. An error ends the muxer: the stream's codec
// cannot be carried.
func (m *muxer) frame(f *frame.Frame) error {
	if f.IsVideo() {
		m.pictureFrame(f)
	} else if m.started {
		m.hear(f)
	}
	if m.failure != nil || !m.started {
		return m.failure
	}
	m.follow()
	if m.failure != nil {
		return m.failure
	}
	m.trim()
	m.video.publish()
	m.audio.publish()
	return nil
}

// pictureFrame adds a picture.
func (m *muxer) pictureFrame(f *frame.Frame) {
	params, ok := f.Track.Codec.(codec.Video)
	if !ok {
		m.failure = errVideo
		return
	}
	if !m.started {
		if !f.Key {
			return
		}
		m.start(f, params)
		if m.failure != nil {
			return
		}
	}
	if m.video.growing() > m.bytes/2 {
		// Such a segment has times that hardly move, or no bounds: the next key
		// frame begins another one.
		m.hole = true
		if !f.Key {
			m.budget.dropped.Add(1)
			return
		}
	}
	dts := f.DTS + m.base
	time := ticks(dts, videoTimescale)
	s := sample{
		payload: f.Payload, key: f.Key,
		offset: int32(int64(ticks(f.PTS+m.base, videoTimescale)) - int64(time)),
	}
	at := m.decide(f, params, dts)
	if m.failure != nil {
		return
	}
	m.video.put(s, time, at)
	m.front = dts
}

// decide says whether a picture opens a segment, and queues the cut for sound.
func (m *muxer) decide(f *frame.Frame, params codec.Video, dts time.Duration) *boundary {
	w := &m.video
	begun := duration(w.open.Time, videoTimescale)
	first := m.picture == nil // the lead ends
	changed := f.Key && !first && !codec.Same(params, m.picture)
	hole := f.Key && !first && (f.Discontinuity || m.hole)
	natural := f.Key && dts-begun >= minSegment
	forced := dts+duration(w.nominal, videoTimescale)-begun > TargetDuration
	if !first && !changed && !hole && !natural && !forced {
		w.nominal = m.step(dts)
		return nil
	}
	if !hole {
		w.nominal = m.step(dts)
	}
	c := cut{start: dts, end: dts, wall: f.Wall.Add(-f.CTS()), audio: m.sound.config, broken: hole, breaks: hole || changed}
	if n := len(m.cuts); n > 0 {
		c.audio = m.cuts[n-1].audio
	}
	if hole {
		c.end = duration(w.time+w.nominal, videoTimescale)
	}
	if a := m.sound.carried(m.sound.source); a != nil && !codec.Same(a, c.audio) && f.Key {
		c.audio, c.breaks = a, true
	}
	at := &boundary{init: w.open.Init, wall: c.wall, key: f.Key, broken: hole, discontinuity: c.breaks}
	if changed {
		at.init = m.newInit(0, params)
	}
	if f.Key {
		m.picture, m.hole = params, false
	}
	m.cuts = append(m.cuts, c)
	return at
}

// step is the distance of a picture to the one before.
func (m *muxer) step(dts time.Duration) uint64 {
	if t := ticks(dts, videoTimescale); m.video.waiting && t > m.video.time {
		return t - m.video.time
	}
	return m.video.nominal
}

func (m *muxer) newInit(i int, c frame.Codec) *Init {
	init, err := newInit(m.inits[i], c)
	if err != nil {
		m.failure = err
		return nil
	}
	m.inits[i]++
	return init
}

// start opens both renditions with the lead: the first key frame and silence.
func (m *muxer) start(f *frame.Frame, params codec.Video) {
	m.sound.config = m.sound.carried(m.sound.source)
	if m.sound.config == nil {
		m.sound.config = codec.StandardAAC()
	}
	video, audio := m.newInit(0, params), m.newInit(1, m.sound.config)
	if m.failure != nil {
		return
	}
	m.started = true
	m.base = firstPicture - f.DTS - min(max(f.CTS(), 0), maxReorder)
	m.sound.configure(m.sound.config, audio.Timescale)
	number := uint64(m.now().Unix())
	m.video = writer{r: m.store.video, budget: m.budget, number: number, nominal: nominalPicture}
	m.audio = writer{r: m.store.audio, budget: m.budget, number: number, nominal: m.sound.still}

	m.store.origin = f.Wall.Add(-f.PTS - m.base)

	// A decoder takes neighbouring IDR pictures with the same id for one.
	still := codec.StillOf(params, f.Payload)
	first := f.DTS + m.base // where the live pictures begin
	begin := first - leadParts*leadStep
	offset := int32(int64(ticks(f.PTS+m.base, videoTimescale)) - int64(ticks(first, videoTimescale)))
	wall := f.Wall.Add(-f.CTS() - leadParts*leadStep)
	at := &boundary{init: video, wall: wall, key: true, lead: true}
	for i := range leadParts {
		t := ticks(begin+time.Duration(i)*leadStep, videoTimescale)
		m.video.put(sample{payload: still.Key(i), key: true, offset: offset}, t, at)
		at = nil
	}
	m.sound.next = &boundary{init: audio, wall: wall.Add(-begin), key: true, lead: true}
	m.sound.head = ticks(begin, m.sound.rate)
	m.fill(first, never)
	m.front, m.sound.heard = first, first
}
