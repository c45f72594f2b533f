package webrtc

import "time"

// quality is how much of a stream a viewer gets (MEDIA W3).
type quality uint8

// The levels, best first. A lower rendition would stand before the second.
const (
	qualityFull   quality = iota
	qualityNeeded         // no pictures that no other needs
	qualityKeys           // key pictures and sound
	qualityNone           // WebRTC is of no use on this network: LL-HLS is
)

// The controller's bounds. Losses that are made good are no reason to go down.
const (
	lossBad     = 0.10 // more than this in a window is bad,
	lossLimited = 0.02 // and more than this if the receiver says that it has no room
	lossWindow  = time.Second
	minWindow   = 20 // packets that a window needs to say anything
	downAfter   = 2 * time.Second
	noneAfter   = 5 * time.Second
	upAfter     = 10 * time.Second
	upAfterMost = 80 * time.Second
)

// controller decides a viewer's level by what its receiver reports. It is pure:
// the caller tells the time. The zero value is ready, at full quality.
type controller struct {
	level quality

	begun   time.Time // of the window,
	highest uint32    // at its begin: the extended sequence number,
	lost    uint32    // and the cumulative loss

	room   int // bytes a second, by the newest estimate; 0 for none
	roomAt time.Time

	bad, good time.Time // since when; zero when it is not
	raised    time.Time // when it last went up
	wait      time.Duration
}

// estimate notes the receiver's estimate of its room in bytes a second (REMB).
func (c *controller) estimate(room int, now time.Time) { c.room, c.roomAt = room, now }

// report takes a receiver report's cumulative loss and highest extended sequence
// number (RFC 3550 §6.4.1); rate is what the stream needs, in bytes a second.
func (c *controller) report(highest, lost uint32, rate int, now time.Time) quality {
	if c.begun.IsZero() || int32(highest-c.highest) < 0 {
		c.begun, c.highest, c.lost = now, highest, lost
		return c.level
	}
	came := highest - c.highest
	if now.Sub(c.begun) < lossWindow || came < minWindow {
		return c.level
	}
	share := float64(max(0, int32(lost-c.lost))) / float64(came)
	c.begun, c.highest, c.lost = now, highest, lost
	tight := c.room > 0 && c.room < rate && now.Sub(c.roomAt) < 2*lossWindow
	switch {
	case share > lossBad || share > lossLimited && tight:
		c.worse(now)
	case share <= lossLimited:
		c.better(now)
	default:
		c.bad, c.good = time.Time{}, time.Time{}
	}
	return c.level
}

// worse goes a level down when it has been bad for long enough.
func (c *controller) worse(now time.Time) {
	c.good = time.Time{}
	if c.bad.IsZero() {
		c.bad = now
	}
	limit := downAfter - lossWindow // the window was bad from its begin on
	if c.level == qualityKeys {
		limit = noneAfter - lossWindow
	}
	if c.level == qualityNone || now.Sub(c.bad) < limit {
		return
	}
	if c.wait = max(c.wait, upAfter); !c.raised.IsZero() && now.Sub(c.raised) < c.wait {
		c.wait = min(2*c.wait, upAfterMost) // it went up too soon
	}
	c.level++
	c.bad = time.Time{}
}

// better goes a level up when it has been good for long enough.
func (c *controller) better(now time.Time) {
	c.bad = time.Time{}
	if c.good.IsZero() {
		c.good = now
	}
	if c.level == qualityFull || c.level == qualityNone || now.Sub(c.good) < max(c.wait, upAfter)-lossWindow {
		return
	}
	c.level--
	c.raised, c.good = now, time.Time{}
}
