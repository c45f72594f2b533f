package hub

import (
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

const (
	// soundMissing is how far pictures may be ahead of the sound before silence
	// takes its place.
	soundMissing = 500 * time.Millisecond
	// maxFill bounds the silence that is put in at once, in frames; a longer hole
	// stays one.
	maxFill = 256
)

// filler is where a reader's sound ends. For the reader's goroutine.
type filler struct {
	track *frame.Track // of silence when nothing else is announced
	begun bool
	heard time.Duration // DTS of the picture before the newest real sound
	front time.Duration // DTS of the newest picture
	end   time.Duration // of the sound, silence included: anchor and length so far
	count int64
	from  time.Duration
}

// fill appends a frame, behind silence where sound is missing. Sound that comes
// when silence took its place is left out. Run.mu is held.
func (rd *Reader) fill(buf []*frame.Frame, f *frame.Frame) []*frame.Frame {
	l := &rd.filler
	if !f.IsVideo() {
		l.heard = l.front // silence makes way, also for sound that it overtook
		rate, n := samplesOf(f.Track, f.Payload)
		length := time.Duration(n) * time.Second / time.Duration(rate)
		if l.begun && f.PTS+length/2 < l.end { // not lost by being slow
			return buf
		}
		l.begun = true
		l.from, l.count = f.PTS+length, 0
		l.end = l.from
		return append(buf, f)
	}
	l.front = f.DTS
	if !l.begun {
		l.begun, l.from, l.end, l.heard = true, f.PTS, f.PTS, f.DTS-soundMissing
		if a := rd.run.audio; a != nil && rd.options.Sound.Is(a) { // it will come
			l.heard = f.DTS
		}
	}
	if f.DTS-l.heard >= soundMissing {
		buf = rd.silence(buf, f)
	}
	return append(buf, f)
}

// silence appends silence up to a picture.
func (rd *Reader) silence(buf []*frame.Frame, f *frame.Frame) []*frame.Frame {
	l, track := &rd.filler, rd.sound()
	if track == nil {
		return buf
	}
	payload, _ := codec.SilenceOf(track.Codec, nil)
	if payload == nil {
		return buf
	}
	rate, n := samplesOf(track, payload)
	for i := 0; l.end < f.DTS; i++ {
		if i == maxFill {
			l.from, l.count = f.DTS, 0
			l.end = l.from
			break
		}
		buf = append(buf, &frame.Frame{
			Track: track, PTS: l.end, DTS: l.end, Wall: f.Wall.Add(l.end - f.PTS), Epoch: f.Epoch, Derived: true, Payload: payload,
		})
		l.count += n
		l.end = l.from + time.Duration(l.count/int64(rate))*time.Second + time.Duration(l.count%int64(rate))*time.Second/time.Duration(rate)
	}
	return buf
}
