package webrtc

import (
	"sync"
	"time"
)

const (
	videoPackets = 4096 // packets kept of a stream's pictures
	videoNumbers = 1024 // pictures kept
	audioPackets = 256  // 5 s of sound
	historyBytes = 4 << 20

	rateWindow = 2 * time.Second
	minRate    = 32 << 10 // bytes a second, before there is a measure
)

// packet is one RTP packet of a history: read-only.
type packet struct {
	data    []byte // header with the live timestamp, then payload
	picture uint64 // number of the picture that it belongs to
}

// picture is an entry of the history's index; for sound, one packet.
type picture struct {
	first, end uint64 // packets [first, end)
	pts        time.Duration
	ts         uint32 // live timestamp
	bytes      int
	key        bool
}

// history is the ring of one medium's packets, numbered from 0 without a gap:
// what a viewer sends next, catches up with and has retransmitted. One writer,
// any number of readers. Packets leave when the ring is full or holds 4 MiB.
type history struct {
	ssrc uint32

	mu         sync.RWMutex
	packets    []packet  // index modulo length
	pictures   []picture // number modulo length
	tail, head uint64    // packets held: [tail, head)
	count      uint64    // pictures so far
	key        uint64    // number of the newest key picture
	hasKey     bool
	bytes      int
	added      time.Time // when the newest came

	window      uint64 // first picture of the rate window
	windowBytes int
}

func newHistory(ssrc uint32, packets, pictures int) *history {
	return &history{ssrc: ssrc, packets: make([]packet, packets), pictures: make([]picture, pictures)}
}

// at returns the entry of picture number n, which must still be held.
func (h *history) at(n uint64) *picture { return &h.pictures[n%uint64(len(h.pictures))] }

// add appends a picture's packets.
func (h *history) add(data [][]byte, pts time.Duration, key bool, now time.Time) {
	if len(data) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	n := picture{first: h.head, pts: pts, ts: timestamp(data[0]), key: key}
	for _, d := range data {
		if h.head-h.tail == uint64(len(h.packets)) {
			h.drop()
		}
		h.packets[h.head%uint64(len(h.packets))] = packet{data: d, picture: h.count}
		h.head++
		n.bytes += len(d)
	}
	h.bytes += n.bytes
	for h.bytes > historyBytes && h.head-h.tail > uint64(len(data)) {
		h.drop()
	}
	n.end = h.head
	*h.at(h.count) = n
	if key {
		h.key, h.hasKey = h.count, true
	}
	h.count++
	h.added = now
	h.measure(n)
}

// drop forgets the oldest packet.
func (h *history) drop() {
	p := &h.packets[h.tail%uint64(len(h.packets))]
	h.bytes -= len(p.data)
	p.data = nil
	h.tail++
}

// measure keeps the sum of the last two seconds.
func (h *history) measure(newest picture) {
	h.windowBytes += newest.bytes
	for h.window+1 < h.count &&
		(newest.pts-h.at(h.window).pts > rateWindow || h.count-h.window >= uint64(len(h.pictures))) {
		h.windowBytes -= h.at(h.window).bytes
		h.window++
	}
}

// rate is the medium's bytes a second over the last two seconds, never below 32 KiB/s.
func (h *history) rate() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.count == 0 {
		return minRate
	}
	span := h.at(h.count-1).pts - h.at(h.window).pts
	span = max(span, 500*time.Millisecond)
	return max(minRate, int(int64(h.windowBytes)*int64(time.Second)/int64(span)))
}

// fetch copies the packets from index on into dst. It says false when the index
// has left the ring.
func (h *history) fetch(dst []packet, from uint64) (int, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if from < h.tail {
		return 0, false
	}
	n := 0
	for n < len(dst) && from < h.head {
		dst[n] = h.packets[from%uint64(len(h.packets))]
		n++
		from++
	}
	return n, true
}

// end is the index of the next packet to come.
func (h *history) end() uint64 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.head
}

// group describes the newest group of pictures, for a join or a restart.
type group struct {
	first    uint64 // packet index of the key picture
	keyEnd   uint64 // and one past it
	from, to uint64 // numbers of its pictures [from, to)
	live     uint32 // timestamp of the newest picture
	frame    uint32 // ticks from picture to picture
	bytes    int
	span     time.Duration
	added    time.Time // when the newest came
}

// later moves the group's end by the time that has passed on the timeline since
// its newest picture came: the pictures after an interruption are that far away.
func (g *group) later(d time.Duration) {
	g.live += ticks(d, videoClock)
}

// newestGroup returns the pictures from the newest key picture on. It says
// false when there is none, or when it has left the ring.
func (h *history) newestGroup() (group, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if !h.hasKey || h.count-h.key > uint64(len(h.pictures)) {
		return group{}, false
	}
	key, last := h.at(h.key), h.at(h.count-1)
	if key.first < h.tail {
		return group{}, false
	}
	g := group{
		first: key.first, keyEnd: key.end, from: h.key, to: h.count,
		live: last.ts, frame: videoClock / 30, span: last.pts - key.pts,
		added: h.added,
	}
	for n := g.from; n < g.to; n++ {
		g.bytes += h.at(n).bytes
	}
	if g.to-g.from > 1 {
		g.frame = (last.ts - key.ts) / uint32(g.to-g.from-1)
	}
	return g, true
}

// keyAfter returns the newest key picture's first packet and its number, when
// that number is the given one or later.
func (h *history) keyAfter(number uint64) (index, key uint64, ok bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if !h.hasKey || h.key < number || h.count-h.key > uint64(len(h.pictures)) || h.at(h.key).first < h.tail {
		return 0, 0, false
	}
	return h.at(h.key).first, h.key, true
}
