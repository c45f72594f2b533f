package record

import (
	"errors"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/mp4"
)

// fragmentLength is when a fragment is written at the latest: what a kill of the
// process can lose.
const fragmentLength = 500 * time.Millisecond

// The places of a recording's tracks.
const (
	video = 0
	audio = 1
)

// errOther says that a track has another codec than the file began with, which
// players do not follow: another file begins.
var errOther = errors.New("the codec changed")

// fragment is what is written at once.
type fragment struct {
	init     []byte // parameters that are new with it, or nil
	entries  [2]int // in force
	tracks   []mp4.Track
	runs     []mp4.Run
	payloads [][]byte // in the order of the runs; shared with the hub
	size     int      // of the payloads
	key      bool     // it begins with a key frame
	silence  []byte   // a frame of silence as its sound is coded,
	still    uint64   // and its length in ticks
	from, to time.Duration
}

// muxer cuts a run's frames into fragments: pure, for one goroutine. Times of the
// file are those of the run from its first key frame on.
type muxer struct {
	tracks  []mp4.Track
	entries [2]int
	codecs  [2]frame.Codec
	base    time.Duration // of the run at the file's time 0
	wall    time.Time     // of the file's time 0
	started bool
	waiting bool // for a key frame: what came before is lost
	lanes   [2]lane
	init    []byte // to be written before the next fragment
	begun   time.Duration
	silence []byte
	still   uint64
	ready   []*fragment
}

// lane is one track's part of the open fragment.
type lane struct {
	run      mp4.Run
	payloads [][]byte
	next     []byte // a payload whose length is not known yet; nil: none
	sample   mp4.Sample
	time     uint64 // of next
}

// frame takes a frame and returns the fragments that are complete. Errors:
// errOther, or a codec that MP4 does not carry; the frame is not taken then.
func (m *muxer) frame(f *frame.Frame, sound frame.Codec) ([]*fragment, error) {
	m.ready = m.ready[:0]
	if f.IsVideo() {
		return m.ready, m.picture(f, sound)
	}
	if !m.started || m.waiting || f.PTS < m.base {
		return nil, nil
	}
	if err := m.parameters(audio, f); err != nil {
		return m.ready, err
	}
	m.put(audio, f, f.PTS)
	if at := f.PTS - m.base; at-m.begun >= fragmentLength+fragmentLength/2 { // the picture stands still
		m.cut()
		m.begun = at
	}
	return m.ready, nil
}

func (m *muxer) picture(f *frame.Frame, sound frame.Codec) error {
	if (!m.started || m.waiting) && !f.Key {
		return nil
	}
	if !m.started {
		if err := m.start(f, sound); err != nil {
			return err
		}
	}
	m.waiting = false
	if err := m.parameters(video, f); err != nil {
		return err
	}
	at := f.DTS - m.base
	m.commit(video, at)
	if f.Key || at-m.begun >= fragmentLength {
		m.cut()
		m.begun = at
	}
	m.put(video, f, f.DTS)
	return nil
}

// start fixes the tracks.
func (m *muxer) start(f *frame.Frame, sound frame.Codec) error {
	m.tracks = nil
	for i, c := range []frame.Codec{f.Track.Codec, sound} {
		t, err := mp4.NewTrack(uint32(i+1), c)
		if err != nil {
			return err
		}
		m.tracks, m.codecs[i] = append(m.tracks, t), c
		m.lanes[i].run.Track = i
	}
	m.base, m.wall, m.started = f.DTS, f.Wall.Add(-f.CTS()), true
	m.listen(sound)
	m.init = mp4.AppendInit(nil, m.tracks, m.entries[:])
	return nil
}

// listen notes what silence is like.
func (m *muxer) listen(sound frame.Codec) {
	a, ok := sound.(codec.Audio)
	if !ok {
		return
	}
	m.silence, _ = codec.SilenceOf(sound, nil)
	rate, n := a.Samples(m.silence)
	m.still = m.tracks[audio].Ticks(time.Duration(n) * time.Second / time.Duration(rate))
}

// parameters puts a frame's in force. A fragment has one set of each track.
func (m *muxer) parameters(i int, f *frame.Frame) error {
	c := f.Track.Codec
	if c == m.codecs[i] {
		return nil
	}
	if codec.Same(c, m.codecs[i]) {
		m.codecs[i] = c
		return nil
	}
	entry, err := mp4.Entry(c)
	if err != nil {
		return err
	}
	t := &m.tracks[i]
	if !t.SameKind(entry) {
		return errOther
	}
	at := f.PTS
	if i == video {
		at = f.DTS
	}
	m.commit(i, at-m.base)
	m.cut()
	m.begun = at - m.base
	m.codecs[i], m.entries[i] = c, t.Use(entry)
	if v, ok := c.(codec.Video); ok {
		t.Width, t.Height = v.Size()
	}
	if i == audio {
		m.listen(c)
	}
	m.init = mp4.AppendInit(nil, m.tracks, m.entries[:])
	return nil
}

// put adds a frame; its length is the distance to the next.
func (m *muxer) put(i int, f *frame.Frame, at time.Duration) {
	m.commit(i, at-m.base)
	t, l := &m.tracks[i], &m.lanes[i]
	l.time = max(t.Ticks(at-m.base), l.time)
	l.next = f.Payload
	if l.next == nil {
		l.next = []byte{}
	}
	l.sample = mp4.Sample{Size: uint32(len(f.Payload)), Key: f.Key || i == audio}
	if i == video {
		l.sample.Offset = int32(int64(t.Ticks(f.PTS-m.base)) - int64(t.Ticks(f.DTS-m.base)))
	}
}

// commit ends the frame that waits at a time.
func (m *muxer) commit(i int, at time.Duration) {
	l := &m.lanes[i]
	if l.next == nil {
		return
	}
	end := m.tracks[i].Ticks(at)
	if i == audio && m.still > 0 && end > l.time+8*m.still {
		end = l.time + m.still // a hole: silence is written there
	}
	length := uint64(1)
	if end > l.time {
		length = min(end-l.time, 1<<31)
	}
	if len(l.run.Samples) == 0 {
		l.run.Time = l.time
	}
	l.sample.Duration = uint32(length)
	l.run.Samples = append(l.run.Samples, l.sample)
	l.payloads = append(l.payloads, l.next)
	l.next = nil
	l.time += length
}

// cut makes a fragment of what is complete.
func (m *muxer) cut() {
	fr := &fragment{init: m.init, entries: m.entries, silence: m.silence, still: m.still, tracks: m.tracks}
	for i := range m.lanes {
		l := &m.lanes[i]
		if len(l.run.Samples) == 0 {
			continue
		}
		t := &m.tracks[i]
		from, to := t.Time(l.run.Time), t.Time(l.run.Time+l.run.Ticks())
		if len(fr.runs) == 0 {
			fr.from = from
		}
		fr.to = max(fr.to, to)
		if i == video {
			fr.key = l.run.Samples[0].Key
		}
		fr.runs = append(fr.runs, l.run)
		fr.payloads = append(fr.payloads, l.payloads...)
		for _, s := range l.run.Samples {
			fr.size += int(s.Size)
		}
		l.run, l.payloads = mp4.Run{Track: i}, nil
	}
	if len(fr.runs) == 0 {
		return
	}
	m.init = nil
	m.ready = append(m.ready, fr)
}

// flush returns what is left at the end.
func (m *muxer) flush() []*fragment {
	m.ready = m.ready[:0]
	if !m.started {
		return nil
	}
	for i := range m.lanes {
		l := &m.lanes[i]
		if l.next == nil {
			continue
		}
		last := m.still
		if i == video {
			last = mp4.VideoTimescale / 30
			if n := len(l.run.Samples); n > 0 {
				last = uint64(l.run.Samples[n-1].Duration)
			}
		}
		m.commit(i, m.tracks[i].Time(l.time+last))
	}
	m.cut()
	return m.ready
}

// lost forgets the open fragment and waits for a key frame: nothing since the
// last complete one will be written.
func (m *muxer) lost() {
	for i := range m.lanes {
		m.lanes[i] = lane{run: mp4.Run{Track: i}}
	}
	m.waiting = true
	if m.started { // nobody may have seen the parameters
		m.init = mp4.AppendInit(nil, m.tracks, m.entries[:])
	}
}
