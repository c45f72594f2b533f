package webrtc

import "time"

const (
	catchUpBytes = 1_500_000       // a longer group of pictures is not replayed (MEDIA J)
	catchUpSpan  = 3 * time.Second // likewise
	// paceFactor times the stream's rate is the most that catching up may use,
	// and how much faster than usual its pictures are shown.
	paceFactor = 3
	maxTurn    = 16 // packets of one viewer before the next viewer has its turn
)

// catchUp gives replayed pictures timestamps of their own: from start on, step
// ticks apart, until the live timestamps are later. It is a pure function of the
// picture, so a retransmission is the same to the byte. The step is that of the
// pace at which they are sent: receivers take any other for jitter, and freeze.
// The zero value changes nothing.
type catchUp struct {
	from  uint64 // number of the first picture
	start uint32
	step  uint32
}

// timestamp of a picture whose live timestamp is live.
func (c catchUp) timestamp(number uint64, live uint32) uint32 {
	if c.step == 0 || number < c.from {
		return live
	}
	if ts := c.start + uint32(number-c.from)*c.step; int32(ts-live) > 0 {
		return ts
	}
	return live
}

// planCatchUp replays g from the live picture's timestamp on, or behind the last
// timestamp that the viewer got.
func planCatchUp(g group, last uint32, started bool) catchUp {
	c := catchUp{from: g.from, start: g.live, step: max(1, g.frame/paceFactor)}
	if started && int32(last+c.step-c.start) > 0 {
		c.start = last + c.step
	}
	return c
}

// cursor is a viewer's place in a history. Sequence numbers are kept extended,
// so they never go back: seq belongs to index next, and all of [start, next)
// was sent as [first, seq) without a gap under one catch-up plan.
type cursor struct {
	next  uint64 // index of the next packet
	seq   uint64 // its extended sequence number
	start uint64 // where this stretch began: index,
	first uint64 // and extended sequence number
	plan  catchUp

	stop    uint64 // index at which to wait for a key picture; 0 for none
	waiting bool   // for a key picture numbered waitFor or later
	waitFor uint64

	last    uint32 // timestamp of the newest packet sent
	started bool   // something was sent
	packets uint32 // RFC 3550 sender's counts
	octets  uint32
}

// moveTo begins a new stretch at index: what was sent before it cannot be
// retransmitted any more.
func (c *cursor) moveTo(index uint64, plan catchUp) {
	c.next, c.start, c.first = index, index, c.seq
	c.plan, c.stop, c.waiting = plan, 0, false
}

// wait stops the cursor until a key picture numbered from or later is there.
func (c *cursor) wait(from uint64) {
	c.waiting, c.waitFor, c.stop = true, from, 0
}

// replay moves the cursor to the key picture of g: all of g when whole, else
// the key picture alone and then the next one.
func (c *cursor) replay(g group, whole bool) {
	c.moveTo(g.first, planCatchUp(g, c.last, c.started))
	if !whole && g.to > g.from+1 {
		c.stop, c.waitFor = g.keyEnd, g.to
	}
}

// goOn ends the wait at a key picture: live, but never behind what was sent.
func (c *cursor) goOn(index, number uint64) {
	plan := catchUp{}
	if c.started {
		plan = catchUp{from: number, start: c.last + 1, step: 1}
	}
	c.moveTo(index, plan)
}

// sent records that the packet at next went out (or was lost by us, which uses
// its sequence number up all the same).
func (c *cursor) sent(ts uint32, payload int) {
	c.next++
	c.seq++
	c.last, c.started = ts, true
	c.packets++
	c.octets += uint32(payload)
}

// index finds the packet that was sent with a sequence number. It says false
// for what was not sent yet and for what was sent before the cursor last moved:
// sealing that again could use an index twice with other bytes.
func (c *cursor) index(seq uint16) (index, extended uint64, ok bool) {
	back := uint64(uint16(c.seq) - seq)
	if back == 0 || back > c.seq-c.first {
		return 0, 0, false
	}
	return c.next - back, c.seq - back, true
}
