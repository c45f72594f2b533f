package cmaf

import (
	"math"
	"slices"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

// never is a time that no sound frame reaches: silence may fill up to any time.
const never = time.Duration(math.MaxInt64)

// sound is where the sound stands.
type sound struct {
	source *frame.Track   // newest of the run
	asked  *frame.Track   // whether it can be carried was asked last,
	answer codec.Audio    // and its parameters then
	heard  time.Duration  // the picture's front when the source's sound last came
	held   []*frame.Frame // ahead of the front
	next   *boundary      // the segment that the next sample opens
	config codec.Audio    // of the open segment, or of next
	silent []byte         // a packet of silence of config,
	still  uint64         // its length
	rate   uint32         // its clock
	head   uint64         // where the last sample ends, nominally
}

// carried is carried, asked once a track: it is wanted for each frame.
func (s *sound) carried(t *frame.Track) codec.Audio {
	if s.asked != t {
		s.asked, s.answer = t, carried(t)
	}
	return s.answer
}

// configure puts parameters in force.
func (s *sound) configure(c codec.Audio, rate uint32) {
	s.config, s.rate = c, rate
	s.silent, _ = codec.SilenceOf(c, nil)
	s.still = s.length(s.silent)
}

// length of a packet in ticks.
func (s *sound) length(packet []byte) uint64 {
	_, n := s.config.Samples(packet)
	return uint64(n)
}

// follow moves the sound up to the picture's front, so that it never misses a
// cut: a frame ahead of the front waits, unless too many do.
func (m *muxer) follow() {
	n := 0
	for n < len(m.sound.held) && (m.sound.held[n].PTS+m.base <= m.front || len(m.sound.held)-n > maxHeld) {
		m.soundFrame(m.sound.held[n])
		n++
	}
	m.sound.held = slices.Delete(m.sound.held, 0, n)
	lag := m.store.audience.lag(m.now(), m.front-duration(m.sound.head, m.sound.rate))
	if m.sound.carried(m.sound.source) == nil || m.front-m.sound.heard > maxMissing {
		m.fill(m.front-lag, never)
	}
}

// hear takes a frame of the source: it waits for the picture's front. Sound with
// new parameters that comes just after a cut still belongs to it, as when a
// newcomer takes over with other pictures and other sound.
func (m *muxer) hear(f *frame.Frame) {
	m.sound.source = f.Track
	m.sound.held = append(m.sound.held, f)
	n, open := len(m.cuts), m.video.open
	params := m.sound.carried(f.Track)
	if params == nil || n == 0 || codec.Same(params, m.cuts[n-1].audio) || len(open.Parts) > 0 || !open.Key {
		return // nobody may have seen the picture's segment
	}
	m.cuts[n-1].audio, m.cuts[n-1].breaks = params, true
	if !open.Discontinuity {
		open.Discontinuity = true
		open.Discontinuities++
		open.Since, m.video.since = open.Time, open.Time
		m.video.breaks++
	}
}

// soundFrame adds a frame of the source, unless its parameters are not in force
// (they will be from the next key frame that cuts) or silence stands there.
func (m *muxer) soundFrame(f *frame.Frame) {
	params, at := m.sound.carried(f.Track), f.PTS+m.base
	if params == nil {
		return
	}
	config := m.sound.config
	for _, c := range m.cuts {
		if c.start <= at {
			config = c.audio
		}
	}
	if params != config && !codec.Same(params, config) {
		m.budget.dropped.Add(1)
		return
	}
	m.sound.heard = m.front
	if at-duration(m.video.open.Time, videoTimescale) > TargetDuration {
		m.budget.dropped.Add(1) // the picture has stopped: nothing cuts
		return
	}
	m.fill(at, at)
	time := ticks(at, m.sound.rate)
	if time+m.sound.length(f.Payload)/2 < m.sound.head {
		m.budget.dropped.Add(1)
		return
	}
	m.emit(time, sample{payload: f.Payload, key: true})
}

// fill puts silence from the head up to time t, crossing the cuts on the way. A
// frame of the source follows at time before: no silence overlaps it.
func (m *muxer) fill(t, before time.Duration) {
	for len(m.cuts) > 0 && m.cuts[0].start <= t {
		c := m.cuts[0]
		m.cuts = slices.Delete(m.cuts, 0, 1)
		m.quiet(c.end, before)
		m.cross(c)
	}
	m.quiet(t, before)
}

func (m *muxer) quiet(t, before time.Duration) {
	end, limit := ticks(t, m.sound.rate), uint64(math.MaxUint64)
	if before != never {
		limit = ticks(before, m.sound.rate)
	}
	for m.sound.head < end && m.sound.head+m.sound.still <= limit {
		m.silence()
	}
}

// cross makes the next sample open a segment.
func (m *muxer) cross(c cut) {
	if m.sound.next != nil { // no segment is empty
		m.silence()
	}
	init := m.audio.open.Init
	at := &boundary{wall: c.wall.Add(-c.start), key: true, discontinuity: c.breaks, broken: c.broken}
	if c.audio != m.sound.config && !codec.Same(c.audio, m.sound.config) {
		if init = m.newInit(1, c.audio); init == nil {
			return
		}
		m.sound.configure(c.audio, init.Timescale)
		at.broken = true
	}
	at.init = init
	if at.broken {
		m.sound.head = ticks(c.start, m.sound.rate)
	}
	m.sound.next = at
}

// silence puts a packet of silence, for good or until sound is recalled.
func (m *muxer) silence() {
	m.emit(m.sound.head, sample{payload: m.sound.silent, key: true, void: m.store.audience.latent.Load()})
}

// emit puts one access unit. The wall clock of m.sound.next is that of media time 0.
func (m *muxer) emit(time uint64, s sample) {
	if m.sound.next != nil {
		m.sound.next.wall = m.sound.next.wall.Add(duration(time, m.sound.rate))
	}
	m.audio.put(s, time, m.sound.next)
	m.sound.next = nil
	m.sound.head = m.audio.time + m.sound.length(s.payload)
}

// minClosed segments always stay: players need them.
const minClosed = 2

// trim drops the oldest segments of both renditions together: those outside the
// window, and more while there are too many bytes.
func (m *muxer) trim() {
	v, a := &m.video, &m.audio
	early := 0
	for len(v.segments) > minClosed && len(a.segments) > minClosed {
		own := v.bytes + a.bytes
		old := v.length-v.segments[0].Duration >= m.window
		if !old && own <= m.bytes && !m.budget.exceeded(own) {
			break
		}
		if !old {
			early++
		}
		v.drop()
		a.drop()
	}
	if early > 0 {
		m.budget.shrunk.Add(uint64(early))
		m.early(early)
	}
}
