package live

import "time"

// maxKept bounds the bytes that wait to be acknowledged.
const maxKept = 16 << 20

// sender keeps packets until they are acknowledged or too late. It is pure: times
// are since the connection's start.
type sender struct {
	first  uint32 // the oldest that is kept
	next   uint32 // of the next packet
	slots  []sent
	memory *memory
	bytes  int
	spare  int           // packets that may be sent again
	moved  time.Duration // when the peer last confirmed something, or owed nothing
	began  time.Duration // when the first was sent
	theirs room

	packets, resent uint64
	dropped         uint64 // given up before the peer had them
}

type sent struct {
	at, again time.Duration
	packet    []byte
}

// room is what the peer says of its buffer (§3.2.4): it is as free as it ever was when
// everything was handed out, and as free as with all that it held while nothing could be.
type room struct {
	free, most int           // packets; 0: it says nothing
	held       int           // packets that it held when that was last known
	constant   bool          // what it says does not depend on them
	grew       time.Duration // when free was last more than before
}

// handingOut is how long a peer whose buffer gets no emptier may still hold a little.
const handingOut = 100 * time.Millisecond

// hear takes a report of free packets, and how many the peer holds for certain besides:
// 0 when it may have handed out some.
func (r *room) hear(free, held int, now time.Duration) {
	if free > r.free {
		r.grew = now
	}
	if r.held > 0 && held > r.held && free == r.free {
		r.constant, r.most = true, free
	}
	if r.constant {
		held = 0
	}
	r.free, r.most, r.held = free, max(r.most, free+held), held
}

// empty reports whether everything was handed out, as far as the peer tells.
func (r *room) empty(now time.Duration) bool {
	return r.free == r.most && (r.most == 0 || now-r.grew >= handingOut)
}

// A peer may ask for as many packets again as were sent, and this many more.
const spareMax = 2048

func newSender(seq uint32, m *memory) *sender {
	return &sender{memory: m, first: seq, next: seq, slots: make([]sent, 64), spare: spareMax}
}

func (s *sender) slot(seq uint32) *sent { return &s.slots[seq&uint32(len(s.slots)-1)] }

// push keeps a packet with the number next, whose bytes, the memory's, are given
// away.
func (s *sender) push(packet []byte, now time.Duration) {
	for distance(s.next, s.first) >= window || s.bytes+len(packet) > maxKept {
		s.dropped++
		s.pop()
	}
	if distance(s.next, s.first) >= len(s.slots) {
		old := s.slots
		s.slots = make([]sent, 2*len(old))
		for q := s.first; q != s.next; q = (q + 1) & seqMask {
			*s.slot(q) = old[q&uint32(len(old)-1)]
		}
	}
	if s.first == s.next {
		s.moved = now
	}
	if s.packets == 0 {
		s.began = now
	}
	*s.slot(s.next) = sent{at: now, again: now, packet: packet}
	s.next = (s.next + 1) & seqMask
	s.bytes += len(packet)
	s.packets++
	s.spare = min(s.spare+1, spareMax)
}

// pop forgets the oldest packet.
func (s *sender) pop() {
	slot := s.slot(s.first)
	s.bytes -= len(slot.packet)
	s.memory.put(slot.packet)
	*slot = sent{}
	s.first = (s.first + 1) & seqMask
}

// ack forgets all before seq; numbers that were never sent are nonsense.
func (s *sender) ack(seq uint32, now time.Duration) {
	if distance(seq, s.next) > 0 {
		return
	}
	if distance(seq, s.first) > 0 {
		s.moved = now
	}
	for distance(seq, s.first) > 0 {
		s.pop()
	}
}

// expire forgets what is older than since: the peer gave it up as well.
func (s *sender) expire(since time.Duration) {
	for s.first != s.next && s.slot(s.first).at < since {
		s.dropped++
		s.pop()
	}
}

// nak sends again what the peer misses from one number to another, but nothing
// that was sent after since.
func (s *sender) nak(from, to uint32, since, now time.Duration, send func(packet []byte)) {
	if distance(from, s.first) < 0 {
		from = s.first
	}
	if distance(to, s.next) >= 0 {
		to = (s.next - 1) & seqMask
	}
	for q := from; distance(q, to) <= 0 && distance(q, s.next) < 0; q = (q + 1) & seqMask {
		slot := s.slot(q)
		if slot.again > since {
			continue
		}
		if s.spare == 0 {
			return
		}
		s.spare--
		s.resent++
		slot.again = now
		slot.packet[4] |= flagResent
		send(slot.packet)
	}
}

// deaf reports whether the peer has confirmed nothing since then, though all the
// time there was something.
func (s *sender) deaf(since time.Duration) bool { return s.first != s.next && s.moved < since }

// confirmed is how many packets the peer has said it has.
func (s *sender) confirmed() int { return int(s.packets-s.dropped) - s.waiting() }

// waiting is how many packets are kept.
func (s *sender) waiting() int { return distance(s.next, s.first) }
