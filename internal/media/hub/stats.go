package hub

import (
	"time"

	"glimpse/internal/media/frame"
)

// Stats of a stream at one moment.
type Stats struct {
	State       State
	Protocol    string        // of the source, "" without one
	Remote      string        // address of the source
	Since       time.Time     // start of the run, zero without one
	LastByte    time.Time     // when the source was last heard
	Duration    time.Duration // of the run's timeline
	Bytes       uint64        // received since the stream was opened
	Frames      uint64        // pictures since then
	Bitrate     float64       // bit/s over the last seconds
	FPS         float64       // pictures a second, likewise
	KeyInterval time.Duration // between the last two key frames
	Publishers  int           // times that a publisher became the source
	Dropped     uint64        // frames that readers lost
	Viewers     map[string]int
	PeakViewers int
	Audience    Audience // of the run, or of the last one
	Tracks      []*frame.Track
	Link        *Link // of the source; nil when its protocol does not know
	// Notice is a sentence for people on what keeps viewers from seeing the
	// newest picture, "" when nothing does.
	Notice string
}

// The notices, in the order of their weight.
const (
	noticeOld      = "The publisher is away: its last key frame is shown, which is old."
	noticeAway     = "The publisher is away: its last picture is shown."
	noticeSilent   = "The publisher is connected, but sends nothing."
	noticeStarving = "The publisher has sent no key frame for long: new viewers see an old picture until the next."
)

// silentAfter is how long a connected publisher may send nothing before the
// status says so (MEDIA H1); nothing else happens yet.
const silentAfter = time.Second

// notice explains the state of now.
func (s *Stream) notice(now time.Time) string {
	switch {
	case s.state == StateInterrupted && s.hold != nil && s.hold.age > oldPicture:
		return noticeOld
	case s.state == StateInterrupted:
		return noticeAway
	case s.state == StateLive && now.Sub(s.lastByte) > silentAfter:
		return noticeSilent
	case s.state == StateLive && s.starving:
		return noticeStarving
	}
	return ""
}

// Stats returns a snapshot; its map and slice are the caller's.
func (s *Stream) Stats() Stats {
	st, link := s.snapshot()
	if link != nil {
		l := link()
		st.Link = &l
	}
	return st
}

// snapshot returns what the stream knows itself, and whom to ask for the rest.
func (s *Stream) snapshot() (st Stats, link func() Link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	st = Stats{
		State: s.state, LastByte: s.lastByte,
		Bytes: s.meter.totalBytes, Frames: s.meter.pictures,
		KeyInterval: s.meter.keyInterval, Publishers: s.meter.publishers,
		Dropped: s.lost.Load(), Notice: s.notice(now),
	}
	st.Bitrate, st.FPS = s.meter.rates(now)
	st.Viewers, st.PeakViewers, st.Audience = s.audience.snapshot(now)
	if s.source != nil {
		st.Protocol, st.Remote = s.source.info.Protocol, s.source.info.Remote
		link = s.source.info.Link
	}
	if s.run != nil {
		st.Since, st.Duration = s.run.start, s.meter.lastPTS
		st.Tracks = s.run.Tracks()
		st.Dropped += s.run.dropped()
	}
	return st, link
}

// meterSpan is the length of one of the meter's windows; rates are taken over
// the last whole one, and fall to 0 when nothing came for two.
const meterSpan = 2 * time.Second

// meter measures a source. Guarded by Stream.mu.
type meter struct {
	totalBytes  uint64
	pictures    uint64
	publishers  int
	keyAt       time.Duration
	keyInterval time.Duration
	lastPTS     time.Duration

	since        time.Time // begin of the window
	bytesAt      uint64    // totals at its begin
	picturesAt   uint64
	bitrate, fps float64 // of the window before
}

func (m *meter) publisher()  { m.publishers++ }
func (m *meter) bytes(n int) { m.totalBytes += uint64(n) }

func (m *meter) frame(f *frame.Frame, now time.Time) {
	m.bytes(len(f.Payload))
	m.lastPTS = f.PTS
	if f.IsVideo() {
		m.pictures++
	}
	if f.Key {
		m.keyInterval, m.keyAt = f.DTS-m.keyAt, f.DTS
	}
	d := now.Sub(m.since)
	if d < meterSpan {
		return
	}
	if d < 2*meterSpan {
		m.bitrate = float64(m.totalBytes-m.bytesAt) * 8 / d.Seconds()
		m.fps = float64(m.pictures-m.picturesAt) / d.Seconds()
	}
	m.since, m.bytesAt, m.picturesAt = now, m.totalBytes, m.pictures
}

// rates returns bit/s and pictures a second.
func (m *meter) rates(now time.Time) (bitrate, fps float64) {
	if now.Sub(m.since) > 2*meterSpan {
		return 0, 0
	}
	return m.bitrate, m.fps
}
