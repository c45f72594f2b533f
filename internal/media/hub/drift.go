package hub

import "time"

const (
	// driftWindow is how long the earliest arrival is looked for: only delays
	// vary, so the earliest of many pictures tells the clock.
	driftWindow = 10 * time.Second
	// driftMin is the least difference of clocks that is acted on: less may be
	// the network's.
	driftMin = 40 * time.Millisecond
	// slewRate: corrections are at most one in so many (MEDIA T2).
	slewRate = 1000
)

// drift measures a source's clock against ours over an epoch and says by how
// much each picture must be moved so that the timeline stays with the wall clock.
type drift struct {
	begun   bool
	based   bool          // base is known
	base    time.Duration // the earliest arrival of the first window, after its time
	least   time.Duration // of this window
	until   time.Duration // where the window ends
	last    time.Duration // time of the picture before
	missing time.Duration // still to be corrected
}

// correction takes a picture's time on the timeline and its arrival. It returns
// what is to be added to the times of the frames that follow.
func (d *drift) correction(at, elapsed time.Duration) time.Duration {
	late := elapsed - at
	if !d.begun {
		d.begun, d.least, d.until, d.last = true, late, elapsed+driftWindow, at
		return 0
	}
	if elapsed >= d.until {
		if !d.based {
			d.based, d.base = true, d.least
		}
		d.missing = d.least - d.base
		if d.missing.Abs() <= driftMin {
			d.missing = 0
		}
		d.least, d.until = late, elapsed+driftWindow
	}
	d.least = min(d.least, late)
	most := max(at-d.last, 0) / slewRate
	d.last = at
	step := min(max(d.missing, -most), most)
	d.missing -= step
	return step
}
