package receive

import (
	"slices"
	"time"
)

const (
	window = 2048 // packets between the one that is due and the newest
	// maxJump further on or back than the newest, sequence numbers begin anew.
	maxJump = window / 2
	// maxNacks bounds what is asked for at once.
	maxNacks = 200
	maxTries = 10
)

// packet is one RTP packet, opened.
type packet struct {
	seq     uint64 // extended
	ts      uint32
	marker  bool
	payload []byte
}

// slot is the place of a sequence number in the window: a packet that waits for
// those before it, or one that is missing.
type slot struct {
	packet
	held    bool
	missing time.Time // since when; zero when it is not known to be
	asked   time.Time // when last
	tries   int
}

// reorder puts packets in order and waits for those that are missing. It holds no
// more than its window.
type reorder struct {
	patience time.Duration // how long a missing packet is waited for
	slots    []slot
	next     uint64 // extended number of the packet that is due
	highest  uint64 // newest that came, plus 1
	started  bool
	skipped  bool // packets before next were given up, or numbers began anew

	received uint64 // packets, without duplicates
	lost     uint64 // given up
}

// extend unwraps a sequence number to the nearest extended one.
func (r *reorder) extend(seq uint16) uint64 {
	if !r.started {
		return uint64(seq) + 1<<16
	}
	newest := r.highest - 1
	return newest + uint64(int64(int16(seq-uint16(newest))))
}

// push takes a packet and reports whether it was new. Its payload is copied when it
// must wait; pop everything before the next one, for the others' are the caller's.
func (r *reorder) push(seq uint16, p packet, now time.Time) bool {
	p.seq = r.extend(seq)
	switch {
	case !r.started:
		r.begin(p.seq)
	case p.seq >= r.highest+maxJump || p.seq+maxJump < r.next:
		r.begin(p.seq)
		r.skipped = true
	case p.seq < r.next:
		return false // came too late, or twice
	}
	for p.seq >= r.next+window { // it waits too long for something: gives it up
		r.skip()
	}
	s := r.at(p.seq)
	if s.held {
		return false
	}
	for n := max(r.highest, r.next); n < p.seq; n++ {
		*r.at(n) = slot{missing: now}
	}
	if p.seq != r.next {
		p.payload = slices.Clone(p.payload)
	}
	*s = slot{packet: p, held: true}
	r.highest = max(r.highest, p.seq+1)
	r.received++
	return true
}

// begin starts with a sequence number.
func (r *reorder) begin(seq uint64) {
	if r.slots == nil {
		r.slots = make([]slot, window)
	}
	clear(r.slots)
	r.next, r.highest, r.started = seq, seq, true
}

func (r *reorder) at(seq uint64) *slot { return &r.slots[seq%window] }

// skip gives the packet up that is due.
func (r *reorder) skip() {
	s := r.at(r.next)
	if !s.held {
		r.lost++
		r.skipped = true
	}
	*s = slot{}
	r.next++
	r.highest = max(r.highest, r.next)
}

// pop returns the next packet in order if it is there. gap says that some before
// it will never come.
func (r *reorder) pop(now time.Time) (p packet, gap, ok bool) {
	if !r.started {
		return packet{}, false, false
	}
	for r.next < r.highest {
		s := r.at(r.next)
		if s.held {
			p, gap = s.packet, r.skipped
			*s = slot{}
			r.next++
			r.skipped = false
			return p, gap, true
		}
		if now.Sub(s.missing) < r.patience {
			break
		}
		r.skip()
	}
	return packet{}, false, false
}

// nacks appends the sequence numbers to ask for now: at first at once, then
// again every interval.
func (r *reorder) nacks(dst []uint16, interval time.Duration, now time.Time) []uint16 {
	for n := r.next; n < r.highest && len(dst) < maxNacks; n++ {
		s := r.at(n)
		if s.held || s.tries >= maxTries || now.Sub(s.missing) >= r.patience || now.Sub(s.asked) < interval {
			continue
		}
		s.asked = now
		s.tries++
		dst = append(dst, uint16(n))
	}
	return dst
}

// waiting counts the packets that wait for another.
func (r *reorder) waiting() bool { return r.started && r.next < r.highest }
