package flv

import "time"

// Clock turns FLV's 32-bit milliseconds into times that go on for ever. One
// serves both tracks: they share their source's clock, and a step back is a step
// back, across the wrap too. The zero value is ready; for one goroutine.
type Clock struct {
	last uint32
	at   int64
	seen bool
}

// Unwrap returns the time of a timestamp: its own at first, afterwards the one
// less than 2^31 ms away from the one before.
func (c *Clock) Unwrap(ms uint32) time.Duration {
	if !c.seen {
		c.seen, c.at = true, int64(ms)
	} else {
		c.at += int64(int32(ms - c.last))
	}
	c.last = ms
	return time.Duration(c.at) * time.Millisecond
}
