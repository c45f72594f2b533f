package webrtc

import "time"

const (
	catchUpBytes = 1_500_000       // a longer group of pictures is not replayed (MEDIA J)
	catchUpSpan  = 3 * time.Second // likewise
	joinStep     = videoClock / 1000
	maxTurn      = 16 // packets of one viewer before the next viewer has its turn
)

// catchUp gives the pictures [from, to) timestamps of their own: step ticks
// apart, the last one at end. It is a pure function of the picture's number, so
// a retransmission is the same to the byte.
type catchUp struct {
	from, to uint64
	end      uint32
	step     uint32
}

// timestamp of a picture whose live timestamp is live.
func (c catchUp) timestamp(number uint64, live uint32) uint32 {
	if number < c.from || number >= c.to {
		return live
	}
	return c.end - uint32(c.to-1-number)*c.step
}

// planCatchUp squeezes the pictures [from, to) behind the last timestamp that
// the viewer got: 1 ms apart ending at the live picture, or, when the viewer
// has that one already, closer and before the next (MEDIA J).
func planCatchUp(from, to uint64, live, next, last uint32, started bool) catchUp {
	c := catchUp{from: from, to: to, end: live, step: joinStep}
	if !started {
		return c
	}
	count := uint32(to - from)
	if int32(live-last) < int32(count) {
		c.end = last + max(count, (next-last)*29/30)
	}
	c.step = max(1, min(joinStep, (c.end-last)/count))
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
// the key picture alone and then the next one. It says false, and does nothing,
// when there is no room for the pictures before the next live timestamp.
func (c *cursor) replay(g group, whole bool) bool {
	to := g.to
	if !whole {
		to = g.from + 1
	}
	if c.started && int32(g.next-c.last) <= 2*int32(to-g.from) {
		return false
	}
	c.moveTo(g.first, planCatchUp(g.from, to, g.live, g.next, c.last, c.started))
	if !whole && g.to > to {
		c.stop, c.waitFor = g.keyEnd, g.to
	}
	return true
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
