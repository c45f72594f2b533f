package live

import "time"

// window is how many packets are kept each way at most, and what is announced as
// the flow window.
const window = 8192

// receiver puts packets in order and gives them out when their time has come. It
// is pure: times are since the connection's start.
type receiver struct {
	next  uint32 // the first packet that was not given out
	end   uint32 // one after the newest that came
	have  uint32 // the first one that is missing, or end
	slots []received
	free  [][]byte
	holes int // packets that are missing between next and end

	packets, bytes uint64
	lost           uint64 // never came, or too late
	resent         uint64 // came at a second attempt
	late           uint64 // came for nothing
}

type received struct {
	at   time.Duration
	data []byte // nil: missing
}

func newReceiver(seq uint32) *receiver {
	return &receiver{next: seq, end: seq, have: seq, slots: make([]received, 64)}
}

func (r *receiver) slot(seq uint32) *received { return &r.slots[seq&uint32(len(r.slots)-1)] }

// push takes a packet's payload, which is copied. When packets before it are
// missing for the first time, it returns them: lost is how many, from is the first.
func (r *receiver) push(seq uint32, at time.Duration, payload []byte, resent bool) (from uint32, lost int) {
	if resent {
		r.resent++
	}
	d := distance(seq, r.next)
	if d < 0 || d >= window {
		r.late++
		return 0, 0
	}
	for d >= len(r.slots) {
		r.grow()
	}
	ahead := distance(seq, r.end)
	if ahead < 0 && r.slot(seq).data != nil {
		r.late++ // a second time
		return 0, 0
	}
	if ahead >= 0 {
		from, lost = r.end, ahead
		r.holes += ahead
		for r.end != seq {
			*r.slot(r.end) = received{}
			r.end = (r.end + 1) & seqMask
		}
		r.end = (seq + 1) & seqMask
	} else {
		r.holes--
	}
	*r.slot(seq) = received{at: at, data: append(r.buffer(), payload...)}
	r.packets++
	r.bytes += uint64(len(payload))
	r.advance()
	return from, lost
}

// advance moves have over what is there.
func (r *receiver) advance() {
	for r.have != r.end && r.slot(r.have).data != nil {
		r.have = (r.have + 1) & seqMask
	}
}

// grow doubles the ring.
func (r *receiver) grow() {
	old := r.slots
	r.slots = make([]received, 2*len(old))
	for s := r.next; s != r.end; s = (s + 1) & seqMask {
		*r.slot(s) = old[s&uint32(len(old)-1)]
	}
}

// buffer returns memory for a payload.
func (r *receiver) buffer() []byte {
	if n := len(r.free); n > 0 {
		b := r.free[n-1]
		r.free = r.free[:n-1]
		return b[:0]
	}
	return make([]byte, 0, MaxPayload)
}

// release gives a payload's memory back.
func (r *receiver) release(b []byte) {
	if b != nil && len(r.free) < 256 {
		r.free = append(r.free, b)
	}
}

// ripe reports whether pop would give something.
func (r *receiver) ripe(now time.Duration) bool {
	_, ok := r.first(now)
	return ok
}

// first finds the packet that is next in time: packets before it that are missing
// then are given up.
func (r *receiver) first(now time.Duration) (seq uint32, ok bool) {
	for s := r.next; s != r.end; s = (s + 1) & seqMask {
		if slot := r.slot(s); slot.data != nil {
			return s, slot.at <= now
		}
	}
	return 0, false
}

// pop returns the next payload whose time has come; release it.
func (r *receiver) pop(now time.Duration) (payload []byte, ok bool) {
	seq, ok := r.first(now)
	if !ok {
		return nil, false
	}
	gone := distance(seq, r.next)
	r.lost += uint64(gone)
	r.holes -= gone
	payload = r.slot(seq).data
	*r.slot(seq) = received{}
	r.next = (seq + 1) & seqMask
	if distance(r.have, r.next) < 0 {
		r.have = r.next
		r.advance()
	}
	return payload, true
}

// room is how many packets may still come.
func (r *receiver) room() int { return window - distance(r.end, r.next) }

// missing calls report with the ranges that are missing, at most so many.
func (r *receiver) missing(most int, report func(from, to uint32)) {
	if r.holes == 0 {
		return
	}
	for s := r.have; s != r.end && most > 0; {
		if r.slot(s).data != nil {
			s = (s + 1) & seqMask
			continue
		}
		from := s
		for s != r.end && r.slot(s).data == nil {
			s = (s + 1) & seqMask
		}
		report(from, (s-1)&seqMask)
		most--
	}
}
