package source

import (
	"sort"
	"time"

	"glimpse/internal/media/frame"
)

// Player delivers a File's access units in decoding order, beginning again at
// the end without a gap or an overlap. It is for one goroutine.
//
// An access unit of sound seldom divides the film's length, so sound is not simply
// repeated: the sound's own clock runs on exactly, one access unit after the
// other, and each time the unit nearest to the film's position is taken. Sound
// and picture therefore never drift apart, however long it plays.
type Player struct {
	f       *File
	round   int           // times that the pictures began again
	next    int           // picture
	sound   int64         // number of the next access unit of sound
	soundAt int           // its place in the file
	soundT  time.Duration // its time
}

// Player returns a new player at the film's beginning.
func (f *File) Player() *Player {
	p := &Player{f: f}
	p.seekSound()
	return p
}

// Next returns the next access unit. Its times are on the player's timeline,
// which starts at 0 with a key frame; DTS is strictly increasing per track.
// The bytes are the caller's.
func (p *Player) Next() (*frame.Frame, error) {
	f := p.f
	s := f.pictures[p.next]
	base := time.Duration(p.round) * f.period
	if p.soundAt >= 0 && p.soundT < base+s.dts {
		return p.nextSound()
	}
	b, err := f.payload(s, true)
	if err != nil {
		return nil, err
	}
	if p.next++; p.next == len(f.pictures) {
		p.next = 0
		p.round++
	}
	return &frame.Frame{Track: f.video, DTS: base + s.dts, PTS: base + s.pts, Key: s.key, Payload: b}, nil
}

func (p *Player) nextSound() (*frame.Frame, error) {
	b, err := p.f.payload(p.f.sound.samples[p.soundAt], false)
	if err != nil {
		return nil, err
	}
	fr := &frame.Frame{Track: p.f.sound.track, DTS: p.soundT, PTS: p.soundT, Payload: b}
	p.sound++
	p.seekSound()
	return fr, nil
}

// seekSound finds the access unit of sound to be played next; places where the
// film has none are passed over. soundAt is -1 when there is no sound at all.
func (p *Player) seekSound() {
	f, sounds := p.f, p.f.sound.samples
	p.soundAt = -1
	if len(sounds) == 0 {
		return
	}
	for range 4 { // a jump lands beside a unit, at worst in the next round
		elapsed := p.soundTime(p.sound)
		p.soundT = f.delay + elapsed
		pos := elapsed % f.period
		after := sort.Search(len(sounds), func(i int) bool { return sounds[i].pts >= pos })
		nearest := after
		if after == len(sounds) || after > 0 && pos-sounds[after-1].pts < sounds[after].pts-pos {
			nearest--
		}
		if (sounds[nearest].pts - pos).Abs() <= f.sound.step {
			p.soundAt = nearest
			return
		}
		gap := f.period - pos
		if after < len(sounds) {
			gap = sounds[after].pts - pos
		}
		p.sound += max(1, int64(gap/f.sound.step))
	}
}

// soundTime is the exact distance of the n-th access unit from the first, without the rounding
// that adding up durations would gather.
func (p *Player) soundTime(n int64) time.Duration {
	samples, rate := n*p.f.sound.unit, p.f.sound.rate
	return time.Duration(samples/rate)*time.Second + time.Duration(samples%rate)*time.Second/time.Duration(rate)
}
