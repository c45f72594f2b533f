package hub

import (
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

const (
	// stillStep between the pictures of a hold is the nominal part of LL-HLS.
	stillStep = 200 * time.Millisecond
	// stillKey between the key frames of a hold is the nominal segment.
	stillKey = 2 * time.Second
	// longestCTS bounds the composition offset that a hold keeps.
	longestCTS = 4 * time.Second
	// oldPicture: a key frame older than this when its publisher was lost is not
	// what viewers saw last, and the status says so.
	oldPicture = 15 * time.Second
	// staleAfter: what a publisher that was silent sends from longer ago was
	// filled by the hold; waiting for what is fresh ends after stalePatience.
	staleAfter    = 500 * time.Millisecond
	stalePatience = 5 * time.Second
)

// hold stands in for a publisher that is away: its newest key frame is shown
// again and again, with silence, so that no output ends (MEDIA H2). Guarded by
// Stream.mu.
type hold struct {
	still *codec.Still
	video *frame.Track
	step  time.Duration // between pictures
	cts   time.Duration // of all of them, so that decoding times never go back
	next  time.Duration // DTS of the next picture
	keys  int           // key frames so far
	skips int           // pictures since the newest
	keyed time.Duration // DTS of the newest
	age   time.Duration // of the picture when the publisher was lost
	lead  time.Duration // how far the timeline was ahead of the clock then

	audio  *frame.Track // nil when there is no sound, or no silence for it
	silent []byte
}

// newHold continues a run where it stands. bitrate is the stream's own, in bit/s,
// 0 when it is not known.
func newHold(run *Run, line *timeline, bitrate float64, intra *frame.Frame, lastSound []byte) *hold {
	key := run.KeyFrame()
	if intra != nil && intra.DTS > key.DTS {
		key = intra
	}
	h := &hold{
		still: codec.StillOf(key.Track.Codec, key.Payload), video: key.Track, step: stillStep,
		cts: composition(key.CTS()), age: line.shown - key.PTS,
	}
	if h.still.Skip(1) == nil {
		h.step = keyStep(len(h.still.Key(0)), bitrate)
	}
	h.next = max(line.shown+min(max(line.video.step, tick), stillStep)-h.cts, line.video.last+tick)
	run.mu.RLock()
	h.audio = run.audio
	run.mu.RUnlock()
	if h.audio == nil {
		return h
	}
	if h.silent, _ = codec.SilenceOf(h.audio.Codec, lastSound); h.silent == nil {
		h.audio = nil
	} else if line.audio.end() < h.next-time.Second { // it had stopped before
		line.anchor, line.samples = h.next, 0
	}
	return h
}

// keyStep is how often a key frame is shown where nothing smaller can be: within
// the stream's own bitrate, but at least every two seconds.
func keyStep(size int, bitrate float64) time.Duration {
	if bitrate <= 0 {
		return stillKey
	}
	need := time.Duration(float64(size) * 8 / bitrate * float64(time.Second))
	steps := min((need+stillStep-1)/stillStep, stillKey/stillStep)
	return max(steps, 1) * stillStep
}

// picture is the next picture.
func (h *hold) picture() *frame.Frame {
	f := &frame.Frame{Track: h.video, DTS: h.next, PTS: h.next + h.cts, Hold: true}
	if h.keys > 0 && h.next-h.keyed < stillKey {
		h.skips++
		f.Payload = h.still.Skip(h.skips)
	}
	if f.Payload == nil {
		f.Key, f.Payload = true, h.still.Key(h.keys)
		h.keys, h.skips, h.keyed = h.keys+1, 0, h.next
	}
	h.next += h.step
	return f
}

// silence is the next frame of silence.
func (h *hold) silence(line *timeline) *frame.Frame {
	at := line.silence(h.audio, h.silent)
	return &frame.Frame{Track: h.audio, DTS: at, PTS: at, Hold: true, Payload: h.silent}
}

// fill shows the last picture up to a time of the run, and returns when the next
// frame is due. A publisher that was faster than time left a timeline that ends in
// the future: it goes on at once, at its pace.
func (s *Stream) fill(elapsed time.Duration) (next time.Duration) {
	if s.hold == nil {
		s.hold = newHold(s.run, &s.line, s.meter.bitrate, s.intra, s.lastSound)
		s.hold.lead = max(0, s.hold.next-elapsed-stillStep)
	}
	h := s.hold
	until := elapsed + h.lead
	for {
		video, audio := h.next, h.next
		if h.audio != nil {
			audio = s.line.silenceAt(h.audio)
		}
		if next = min(video, audio); next > until {
			return next - h.lead
		}
		if video <= audio {
			f := h.picture()
			s.line.held(f)
			s.insert(f, elapsed)
		} else {
			s.insert(h.silence(&s.line), elapsed)
		}
	}
}

// stale says whether a key frame that could end the hold is of the past: after a
// silence the backlog of the same connection comes first, all at once. Viewers
// have been shown the last picture for that time, and would be late by as much
// for ever.
func (s *Stream) stale(p *Publisher, u unit) bool {
	elapsed := u.at.Sub(s.run.start)
	if s.silenced != p || elapsed-(u.dts+s.line.offset) <= staleAfter {
		return false
	}
	if s.staleSince.IsZero() {
		s.staleSince = u.at
	}
	return u.at.Sub(s.staleSince) < stalePatience
}

// fillSilence adds what sound is missing up to a time on the timeline.
func (s *Stream) fillSilence(until, elapsed time.Duration) {
	h := s.hold
	if h.audio == nil {
		return
	}
	_, length := codec.SilenceOf(h.audio.Codec, h.silent)
	for s.line.silenceAt(h.audio)+length <= until {
		s.insert(h.silence(&s.line), elapsed)
	}
}

// insert puts a frame of the hold into the run.
func (s *Stream) insert(f *frame.Frame, elapsed time.Duration) {
	f.Epoch = s.line.epoch
	f.Wall = s.run.start.Add(f.PTS)
	s.meter.lastPTS = max(s.meter.lastPTS, f.PTS)
	s.run.append(f, elapsed)
}

// held notes a picture of the hold. Its step is not the source's: what follows
// may come any time.
func (t *timeline) held(f *frame.Frame) {
	t.video.last = f.DTS
	t.shown = max(t.shown, f.PTS)
}

// silenceAt is where the next frame of the hold's sound stands.
func (t *timeline) silenceAt(track *frame.Track) time.Duration {
	rate, _ := samplesOf(track, nil)
	return t.count(rate)
}

// silence counts a frame of the hold's sound and returns its place.
func (t *timeline) silence(track *frame.Track, payload []byte) time.Duration {
	rate, n := samplesOf(track, payload)
	at := t.count(rate)
	t.samples += n
	t.audio.last, t.audio.step = at, time.Duration(n)*time.Second/time.Duration(rate)
	return at
}
