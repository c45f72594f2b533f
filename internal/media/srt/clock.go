package srt

import "time"

// clock turns MPEG-TS's 33 bits of 90 kHz into times that go on for ever. One
// serves all of a program's streams: each timestamp is taken as the one less
// than 2^32 ticks away from the one before. The zero value is ready.
type clock struct {
	at   int64
	seen bool
}

// unwrap returns the time of a timestamp.
func (c *clock) unwrap(ts int64) time.Duration {
	const wrap = 1 << 33
	if !c.seen {
		c.seen, c.at = true, ts
	}
	diff := (ts - c.at) & (wrap - 1)
	if diff >= wrap/2 {
		diff -= wrap
	}
	c.at += diff
	return time.Duration(c.at/90000)*time.Second + time.Duration(c.at%90000)*time.Second/90000
}
