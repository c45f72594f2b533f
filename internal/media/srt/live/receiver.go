package live

import "time"

// window is how many packets are kept each way at most, and what is announced as
// the flow window.
const window = 8192

// receiver puts packets in order and gives them out when their time has come. It
// is pure: times are since the connection's start.
type receiver struct {
	next   uint32 // the first packet that was not given out
	end    uint32 // one after the newest that came
	have   uint32 // the first one that is missing, or end
	slots  []received
	memory *memory
	holes  int // packets that are missing between next and end

	overtaken time.Duration // when a packet last came behind a later one; 0: never

	packets, bytes uint64
	lost           uint64 // never came, or too late
	resent         uint64 // came at a second attempt
	late           uint64 // came for nothing
}

// patient is how long a packet that was overtaken makes wait before others are
// reported missing.
const patient = 10 * time.Second

type received struct {
	at   time.Duration // when it is given out; of one that is missing: when that was last told
	data []byte        // nil: missing
	told uint8         // how often it was told to be missing, up to 2
}

func newReceiver(seq uint32, m *memory) *receiver {
	return &receiver{memory: m, next: seq, end: seq, have: seq, slots: make([]received, 64)}
}

func (r *receiver) slot(seq uint32) *received { return &r.slots[seq&uint32(len(r.slots)-1)] }

// push takes a packet's payload, which is copied. When packets before it are
// missing for the first time, it returns them: lost is how many, from is the first;
// they count as told now. Where packets overtake each other it returns none:
// missing does, a moment later.
func (r *receiver) push(seq uint32, at, now time.Duration, payload []byte, resent bool) (from uint32, lost int) {
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
		told := uint8(0)
		if r.overtaken == 0 || now-r.overtaken > patient {
			from, lost, told = r.end, ahead, 1
		}
		r.holes += ahead
		for r.end != seq {
			*r.slot(r.end) = received{at: now, told: told}
			r.end = (r.end + 1) & seqMask
		}
		r.end = (seq + 1) & seqMask
	} else {
		r.holes--
		if !resent {
			r.overtaken = max(now, 1)
		}
	}
	*r.slot(seq) = received{at: at, data: append(r.memory.get(), payload...)}
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

// release gives a payload's memory back.
func (r *receiver) release(b []byte) {
	if b != nil {
		r.memory.put(b)
	}
}

// ripe reports whether pop would give something.
func (r *receiver) ripe(now, patience time.Duration) bool {
	_, ok := r.first(now, patience)
	return ok
}

// first finds the packet that is next in time: packets before it that are missing
// then are given up, when patience says so, which is now or before.
func (r *receiver) first(now, patience time.Duration) (seq uint32, ok bool) {
	for s := r.next; s != r.end; s = (s + 1) & seqMask {
		if slot := r.slot(s); slot.data != nil {
			return s, slot.at <= now && (s == r.next || slot.at <= patience)
		}
	}
	return 0, false
}

// pop returns the next payload whose time has come; release it.
func (r *receiver) pop(now, patience time.Duration) (payload []byte, ok bool) {
	seq, ok := r.first(now, patience)
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

// missing calls report with the ranges that are missing and are to be told at now,
// at most so many; they count as told. That is soon after the first time, for
// reports are lost as well, and then again and again.
func (r *receiver) missing(most int, soon, again, now time.Duration, report func(from, to uint32)) {
	due := func(s uint32) bool {
		slot := r.slot(s)
		wait := again
		if slot.told < 2 {
			wait = soon
		}
		return slot.data == nil && now-slot.at >= wait
	}
	if r.holes == 0 {
		return
	}
	for s := r.have; s != r.end && most > 0; {
		if !due(s) {
			s = (s + 1) & seqMask
			continue
		}
		from := s
		for ; s != r.end && due(s); s = (s + 1) & seqMask {
			slot := r.slot(s)
			slot.at, slot.told = now, min(slot.told+1, 2)
		}
		report(from, (s-1)&seqMask)
		most--
	}
}
