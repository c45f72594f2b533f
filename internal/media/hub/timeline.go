package hub

import (
	"time"

	"glimpse/internal/media/frame"
)

const (
	tick = time.Millisecond // the least step between two decoding times: RTMP tells no smaller ones apart

	// maxAudioDrift: sound is counted in samples and follows its timestamps
	// again only when they are further apart (MEDIA T2).
	maxAudioDrift = 40 * time.Millisecond

	// A source clock that steps back further than maxBack, or ahead of the time
	// that passed by more than maxAhead, within one connection has jumped: its
	// track starts a new epoch (FAULTS F4).
	maxBack  = time.Second
	maxAhead = time.Second

	// maxApart: sound that begins further from the picture than this is not on
	// the picture's clock.
	maxApart = 10 * time.Second

	// holeMin: a shorter gap is covered by showing the last picture longer.
	holeMin = 500 * time.Millisecond
)

// timeline maps the clocks of a stream's publishers onto its one timeline,
// which starts at 0, never goes back and stays near real time (MEDIA T1). It is
// pure: the caller tells the time, as what has passed since the stream's start.
// One offset serves both tracks of an epoch.
type timeline struct {
	offset  time.Duration // of the newest epoch
	epoch   uint32
	started bool
	video   trackClock
	audio   trackClock
	shown   time.Duration // the latest PTS of a picture
	drift   drift
	// Sound is counted: its time is anchor + samples of the track's rate.
	anchor  time.Duration
	samples int64
}

// trackClock is where one track stands.
type trackClock struct {
	offset time.Duration // in force for this track
	raw    time.Duration // last source time
	came   time.Duration // when that was
	last   time.Duration // last time given out
	step   time.Duration // last distance between two
	seen   bool          // raw is valid (in this epoch)
}

// end is where the next frame of the track is expected. The step before may
// have been a stall; it says nothing of the next one.
func (c *trackClock) end() time.Duration { return c.last + min(c.step, holeMin) }

// begin starts an epoch with a key frame's times. It reports whether a hole is
// left on the timeline.
func (t *timeline) begin(pts, dts, elapsed time.Duration) (hole bool) {
	target := time.Duration(0)
	if t.started {
		end := max(t.video.end(), t.audio.end())
		target = max(end, elapsed)
		hole = target-end > holeMin
		if shown := target + composition(pts-dts); shown <= t.shown { // the publisher before had B pictures
			target += t.shown - shown + min(t.video.step, holeMin)
		}
		t.epoch++
	}
	t.started = true
	t.offset = target - dts
	t.video.offset, t.video.seen = t.offset, false
	t.audio.offset, t.audio.seen = t.offset, false
	t.drift = drift{}
	return hole
}

// lags says whether the timeline ends too long ago for the last picture to be
// shown that much longer.
func (t *timeline) lags(elapsed time.Duration) bool {
	return t.started && elapsed-max(t.video.end(), t.audio.end()) > holeMin
}

// jumped says whether raw cannot follow the track's last source time.
func (c *trackClock) jumped(raw, elapsed time.Duration) bool {
	return c.seen && (raw < c.raw-maxBack || raw-c.raw > elapsed-c.came+maxAhead)
}

// rebase gives a track that jumped a new offset: the one that the other track
// already took, when that fits, else one that goes on where the track ended.
func (t *timeline) rebase(c *trackClock, raw time.Duration) {
	if at := raw + t.offset; c.offset != t.offset && at > c.last-maxBack && at < c.end()+maxBack {
		c.offset = t.offset
		return
	}
	t.offset = c.end() - raw
	c.offset = t.offset
	t.drift = drift{}
	t.epoch++
}

// advance maps raw and keeps the track strictly increasing.
func (c *trackClock) advance(raw, elapsed time.Duration) time.Duration {
	at := raw + c.offset
	if at <= c.last && (c.seen || c.step > 0) {
		at = c.last + tick
	}
	c.put(raw, at, elapsed)
	return at
}

func (c *trackClock) put(raw, at, elapsed time.Duration) {
	if c.seen {
		c.step = at - c.last
	}
	c.raw, c.last, c.came, c.seen = raw, at, elapsed, true
}

// picture maps a picture's source times.
func (t *timeline) picture(pts, dts, elapsed time.Duration) (time.Duration, time.Duration) {
	if t.video.jumped(dts, elapsed) {
		t.rebase(&t.video, dts)
	}
	cts := pts - dts
	at := t.video.advance(dts, elapsed)
	t.slew(t.drift.correction(at, elapsed))
	t.shown = max(t.shown, at+composition(cts))
	return at + cts, at
}

// composition bounds the offsets of hostile sources.
func composition(cts time.Duration) time.Duration { return min(max(cts, 0), longestCTS) }

// slew moves what comes by d, both tracks alike.
func (t *timeline) slew(d time.Duration) {
	t.offset += d
	t.video.offset += d
	t.audio.offset += d
	t.anchor += d
}

// sound maps a sound frame's source time.
func (t *timeline) sound(track *frame.Track, payload []byte, pts, elapsed time.Duration) time.Duration {
	c := &t.audio
	switch {
	case c.jumped(pts, elapsed):
		t.rebase(c, pts)
	case !c.seen && (pts+c.offset-t.video.last).Abs() > maxApart:
		c.offset = max(t.video.last, c.end()) - pts
	}
	rate, n := samplesOf(track, payload)
	if c.seen {
		want := t.count(rate)
		if d := pts + c.offset - want; d > -maxAudioDrift && d < maxAudioDrift && want > c.last {
			t.samples += n
			c.put(pts, want, elapsed)
			return want
		}
	}
	at := c.advance(pts, elapsed)
	t.anchor, t.samples = at, n
	c.step = time.Duration(n) * time.Second / time.Duration(rate)
	return at
}

// count is where the samples counted so far end.
func (t *timeline) count(rate int) time.Duration {
	if hour := int64(rate) * 3600; t.samples >= hour { // keeps the product below from overflowing
		t.anchor, t.samples = t.anchor+time.Hour, t.samples-hour
	}
	return t.anchor + time.Duration(t.samples)*time.Second/time.Duration(rate)
}

// sampled is what a sound track's codec knows: its clock rate in Hz and the
// length of a frame in it.
type sampled interface {
	Samples(payload []byte) (rate int, n int64)
}

// samplesOf returns a sound track's clock rate and the length of a frame in it;
// 20 ms for a codec that cannot say.
func samplesOf(track *frame.Track, payload []byte) (rate int, n int64) {
	if c, ok := track.Codec.(sampled); ok {
		return c.Samples(payload)
	}
	return 1000, 20
}
