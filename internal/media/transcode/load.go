package transcode

import "time"

const (
	// lateBatch is how much of the stream may have gathered while a child was
	// fed before that counts against it; one such time may be a publisher's burst.
	lateBatch = time.Second
	// restAfter is how long a child that could not keep up is given key frames
	// only; twice as long each time, up to the longest.
	restAfter, longestRest = 10 * time.Second, 80 * time.Second
)

// load decides when a child is given key frames only because it cannot keep up.
// The zero value is ready. It reads no clock.
type load struct {
	late  int           // batches in a row that had gathered for too long
	until time.Time     // key frames only until then
	rest  time.Duration // how long the next time
}

// batch notes how much of the stream the newest batch spans and whether frames
// before it were lost, and reports whether key frames only are to be fed now.
func (l *load) batch(span time.Duration, lost bool, now time.Time) (keysOnly bool) {
	if now.Before(l.until) {
		return true
	}
	if span > lateBatch {
		l.late++
	} else {
		l.late = 0
	}
	if l.late < 2 && !lost {
		if !l.until.IsZero() && now.Sub(l.until) > steady {
			l.rest = 0
		}
		return false
	}
	l.late = 0
	l.rest = min(max(2*l.rest, restAfter), longestRest)
	l.until = now.Add(l.rest)
	return true
}
