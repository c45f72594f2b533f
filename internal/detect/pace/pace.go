// Package pace decides how often a model looks: as often as it is asked to while
// that leaves room, else half as often, and half again. It reads no clock. A Pace
// belongs to one goroutine.
package pace

import "time"

// When the rate changes.
const (
	window  = 10  // runs that are looked at together
	tooMuch = 0.6 // share of the interval that runs may take
	easy    = 0.3 // share of the shorter interval below which a faster rate is tried
	calm    = 3   // easy windows in a row before that
	slowest = 4   // the wanted rate is divided by no more
)

// Pace is the rate of one stream.
type Pace struct {
	wanted  float64 // pictures a second
	divisor float64 // 1, 2 or 4
	sum     time.Duration
	runs    int
	calm    int
	late    bool // even the slowest rate is too much
}

// New returns a Pace of so many pictures a second at most.
func New(fps float64) *Pace { return &Pace{wanted: fps, divisor: 1} }

// FPS is how many pictures a second to look at now.
func (p *Pace) FPS() float64 { return p.wanted / p.divisor }

// Slowed says whether that is fewer than wanted, or still too many.
func (p *Pace) Slowed() bool { return p.divisor > 1 || p.late }

// Mean is how long a run took lately, 0 before the first.
func (p *Pace) Mean() time.Duration {
	if p.runs == 0 {
		return 0
	}
	return p.sum / time.Duration(p.runs)
}

// Add notes how long a picture took and reports whether the rate has changed.
func (p *Pace) Add(run time.Duration) (changed bool) {
	p.sum += run
	if p.runs++; p.runs < window {
		return false
	}
	share := p.Mean().Seconds() * p.FPS()
	before := p.divisor
	switch {
	case share > tooMuch:
		p.calm = 0
		p.late = p.divisor == slowest
		p.divisor = min(p.divisor*2, slowest)
	case p.divisor > 1 && share*2 < easy:
		if p.calm++; p.calm == calm {
			p.calm = 0
			p.divisor /= 2
		}
		p.late = false
	default:
		p.calm, p.late = 0, false
	}
	p.sum, p.runs = 0, 0
	return p.divisor != before
}
