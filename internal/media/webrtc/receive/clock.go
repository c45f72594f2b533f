package receive

import "time"

const (
	// maxSlew is how far the sound's offset moves with one frame (MEDIA T4).
	maxSlew = 2 * time.Millisecond
	// maxSkew: sender reports that say more are not from one clock.
	maxSkew = 5 * time.Second
)

// clock maps one medium's RTP timestamps to times on the clock that both share.
type clock struct {
	rate    int64
	last    uint32
	ticks   int64 // of last, unwrapped
	started bool
	offset  time.Duration // media time to shared time

	reported   bool          // a sender report came:
	reportedAt time.Duration // this media time
	reportNTP  time.Duration // was this time of the sender's, since 1900
}

// media is a timestamp's time, unwrapped around the newest.
func (c *clock) media(ts uint32) time.Duration {
	ticks := c.ticks + int64(int32(ts-c.last))
	return time.Duration(ticks/c.rate)*time.Second + time.Duration(ticks%c.rate)*time.Second/time.Duration(c.rate)
}

// advance notes a timestamp of a packet that came at arrival, on the shared
// clock, and returns its media time. The first one sets the offset.
func (c *clock) advance(ts uint32, arrival time.Duration) time.Duration {
	if !c.started {
		c.started, c.last, c.ticks = true, ts, 0
		c.offset = arrival
	}
	at := c.media(ts)
	if d := int32(ts - c.last); d > 0 {
		c.ticks += int64(d)
		c.last = ts
	}
	return at
}

// report notes a sender report (RFC 3550 §6.4.1).
func (c *clock) report(ntp uint64, ts uint32) {
	if !c.started {
		return
	}
	c.reportNTP = time.Duration(ntp>>32)*time.Second + time.Duration((ntp&0xffffffff)*uint64(time.Second)>>32)
	c.reportedAt, c.reported = c.media(ts), true
}

// align moves the sound's offset towards what the sender reports of both media
// say, by a step that nobody hears.
func align(sound, picture *clock) {
	if !sound.reported || !picture.reported {
		return
	}
	// The shared time of the sender's clock, by the pictures.
	shared := picture.offset + picture.reportedAt - picture.reportNTP
	want := shared + sound.reportNTP - sound.reportedAt
	if off := want - sound.offset; off < maxSkew && off > -maxSkew {
		sound.offset += max(-maxSlew, min(maxSlew, off))
	}
}
