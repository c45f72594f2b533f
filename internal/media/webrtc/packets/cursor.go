package packets

import (
	"slices"
	"time"
)

const (
	// CatchUpBytes bounds what is replayed to a viewer (MEDIA J).
	CatchUpBytes = 1_500_000
	// CatchUpSpan bounds its length.
	CatchUpSpan = 3 * time.Second
	// PaceFactor times the stream's rate is the most that catching up may use,
	// and how much faster than usual its pictures are shown.
	PaceFactor = 3

	maxStretches = 16
)

// CatchUp gives replayed pictures timestamps of their own: from Start on, Step
// ticks apart, until the live timestamps are later. It is a pure function of the
// picture, so a retransmission is the same to the byte. The step is that of the
// pace at which they are sent: receivers take any other for jitter, and freeze.
// The zero value changes nothing.
type CatchUp struct {
	From  uint64 // number of the first picture
	Start uint32
	Step  uint32
}

// Timestamp of a picture whose live timestamp is live.
func (c CatchUp) Timestamp(number uint64, live uint32) uint32 {
	if c.Step == 0 || number < c.From {
		return live
	}
	if ts := c.Start + uint32(number-c.From)*c.Step; int32(ts-live) > 0 {
		return ts
	}
	return live
}

// planCatchUp replays g from the live picture's timestamp on, or behind the last
// timestamp that the viewer got.
func planCatchUp(g Group, last uint32, started bool) CatchUp {
	c := CatchUp{From: g.From, Start: g.Live, Step: max(1, g.Frame/PaceFactor)}
	if started && int32(last+c.Step-c.Start) > 0 {
		c.Start = last + c.Step
	}
	return c
}

// stretch is a run of packets that were sent without a gap.
type stretch struct{ index, seq uint64 }

// Cursor is a viewer's place in a History. Sequence numbers are kept extended,
// so they never go back: Seq belongs to index Next. The zero value stands at
// index 0. Its fields are for reading, except Seq before the first packet.
type Cursor struct {
	Next uint64 // index of the next packet
	Seq  uint64 // its extended sequence number
	Plan CatchUp

	Stop    uint64 // index at which to wait for a key picture; 0 for none
	Waiting bool   // for a key picture numbered WaitFor or later
	WaitFor uint64

	Last    uint32 // timestamp of the newest packet sent
	Started bool   // something was sent
	Packets uint32 // RFC 3550 sender's counts
	Octets  uint64

	// stretches of what was sent under Plan, oldest first; the last is at Next.
	stretches []stretch
}

// MoveTo goes on at index under another plan: what was sent before it cannot be
// retransmitted any more.
func (c *Cursor) MoveTo(index uint64, plan CatchUp) {
	c.Next = index
	c.stretches = append(c.stretches[:0], stretch{index, c.Seq})
	c.Plan, c.Stop, c.Waiting = plan, 0, false
}

// Skip leaves out the packets before index, under the same plan. What was sent
// can still be retransmitted, back to some 16 skips ago.
func (c *Cursor) Skip(index uint64) {
	c.Next = index
	if n := len(c.stretches); n > 0 && c.stretches[n-1].seq == c.Seq {
		c.stretches[n-1].index = index
		return
	}
	if len(c.stretches) == maxStretches {
		c.stretches = slices.Delete(c.stretches, 0, 1)
	}
	c.stretches = append(c.stretches, stretch{index, c.Seq})
}

// Wait stops the cursor until a key picture numbered from or later is there.
func (c *Cursor) Wait(from uint64) {
	c.Waiting, c.WaitFor, c.Stop = true, from, 0
}

// StopAfter lets the cursor go on up to index and then wait for a key picture
// numbered from or later.
func (c *Cursor) StopAfter(index, from uint64) { c.Stop, c.WaitFor = index, from }

// Replay moves the cursor to the key picture of g: all of g when whole, else
// the key picture alone and then the next one.
func (c *Cursor) Replay(g Group, whole bool) {
	c.MoveTo(g.First, planCatchUp(g, c.Last, c.Started))
	if !whole && g.To > g.From+1 {
		c.StopAfter(g.KeyEnd, g.To)
	}
}

// GoOn ends the wait at a key picture: live, but never behind what was sent.
func (c *Cursor) GoOn(index, number uint64) {
	plan := CatchUp{}
	if c.Started {
		plan = CatchUp{From: number, Start: c.Last + 1, Step: 1}
	}
	c.MoveTo(index, plan)
}

// Sent records that the packet at Next went out (or was lost by us, which uses
// its sequence number up all the same).
func (c *Cursor) Sent(ts uint32, payload int) {
	if len(c.stretches) == 0 {
		c.stretches = append(c.stretches, stretch{c.Next, c.Seq})
	}
	c.Next++
	c.Seq++
	c.Last, c.Started = ts, true
	c.Packets++
	c.Octets += uint64(payload)
}

// Index finds the packet that was sent with a sequence number. It says false
// for what was not sent yet and for what was sent before the cursor last moved:
// sealing that again could use an index twice with other bytes.
func (c *Cursor) Index(seq uint16) (index, extended uint64, ok bool) {
	back := uint64(uint16(c.Seq) - seq)
	if back == 0 || back > c.Seq {
		return 0, 0, false
	}
	extended = c.Seq - back
	for i := len(c.stretches) - 1; i >= 0; i-- {
		if s := c.stretches[i]; s.seq <= extended {
			return s.index + extended - s.seq, extended, true
		}
	}
	return 0, 0, false
}
