package restream

import "time"

const (
	firstWait = time.Second
	maxWait   = 30 * time.Second
	goodTime  = 60 * time.Second // a connection that lived so long was good
	jitter    = 0.2
)

// retry decides how long to wait before the next attempt. It is a value: after
// returns the one to use next.
type retry struct{ wait time.Duration } // of the newest wait, without jitter; 0: none yet

// after is the wait after a connection that lived for a time, 0 when it was never
// made; random is in [0, 1).
func (r retry) after(lived time.Duration, random float64) (time.Duration, retry) {
	switch {
	case r.wait == 0 || lived >= goodTime:
		r.wait = firstWait
	default:
		r.wait = min(2*r.wait, maxWait)
	}
	return time.Duration(float64(r.wait) * (1 - jitter + 2*jitter*random)), r
}
