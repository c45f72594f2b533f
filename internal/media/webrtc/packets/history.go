package packets

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

// Packet is one RTP packet of a History: read-only.
type Packet struct {
	Data       []byte // header with the live timestamp, then payload
	Picture    uint64 // number of the picture that it belongs to
	Disposable bool   // no other picture needs it
}

// picture is an entry of the history's index; for sound, one packet.
type picture struct {
	first, end uint64 // packets [first, end)
	pts        time.Duration
	ts         uint32 // live timestamp
	bytes      int
	key        bool
}

// History is the ring of one medium's packets, numbered from 0 without a gap:
// what a viewer sends next, catches up with and has retransmitted. One writer,
// any number of readers. Packets leave when the ring is full or holds 4 MiB.
type History struct {
	ssrc uint32

	mu         sync.RWMutex
	packets    []Packet  // index modulo length
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

// NewPictures returns the empty history of a stream's pictures: at least a
// second of anything below 4 MiB a second.
func NewPictures(ssrc uint32) *History { return newHistory(ssrc, videoPackets, videoNumbers) }

// NewSound returns the empty history of a stream's sound: 5 s of it.
func NewSound(ssrc uint32) *History { return newHistory(ssrc, audioPackets, audioPackets) }

func newHistory(ssrc uint32, packets, pictures int) *History {
	return &History{ssrc: ssrc, packets: make([]Packet, packets), pictures: make([]picture, pictures)}
}

// at returns the entry of picture number n, which must still be held.
func (h *History) at(n uint64) *picture { return &h.pictures[n%uint64(len(h.pictures))] }

// SSRC of the packets.
func (h *History) SSRC() uint32 { return h.ssrc }

// Add appends a picture's packets, which now belong to the history; now is when
// it came. For one goroutine.
func (h *History) Add(data [][]byte, pts time.Duration, key bool, now time.Time) {
	if len(data) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	n := picture{first: h.head, pts: pts, ts: Timestamp(data[0]), key: key}
	unneeded := !key && disposable(data)
	for _, d := range data {
		if h.head-h.tail == uint64(len(h.packets)) {
			h.drop()
		}
		h.packets[h.head%uint64(len(h.packets))] = Packet{Data: d, Picture: h.count, Disposable: unneeded}
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
func (h *History) drop() {
	p := &h.packets[h.tail%uint64(len(h.packets))]
	h.bytes -= len(p.Data)
	p.Data = nil
	h.tail++
}

// measure keeps the sum of the last two seconds.
func (h *History) measure(newest picture) {
	h.windowBytes += newest.bytes
	for h.window+1 < h.count &&
		(newest.pts-h.at(h.window).pts > rateWindow || h.count-h.window >= uint64(len(h.pictures))) {
		h.windowBytes -= h.at(h.window).bytes
		h.window++
	}
}

// Rate is the medium's bytes a second over the last two seconds, never below 32 KiB/s.
func (h *History) Rate() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.count == 0 {
		return minRate
	}
	span := h.at(h.count-1).pts - h.at(h.window).pts
	span = max(span, 500*time.Millisecond)
	return max(minRate, int(int64(h.windowBytes)*int64(time.Second)/int64(span)))
}

// Fetch copies the packets from index on into dst. It says false when the index
// has left the ring.
func (h *History) Fetch(dst []Packet, from uint64) (int, bool) {
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

// End is the index of the next packet to come.
func (h *History) End() uint64 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.head
}

// Group describes the newest group of pictures, for a join or a restart.
type Group struct {
	First    uint64 // packet index of the key picture
	KeyEnd   uint64 // and one past it
	From, To uint64 // numbers of its pictures [From, To)
	Live     uint32 // timestamp of the newest picture
	Frame    uint32 // ticks from picture to picture
	Bytes    int
	Span     time.Duration
	Added    time.Time // when the newest came
}

// Later moves the group's end by the time that has passed on the timeline since
// its newest picture came: the pictures after an interruption are that far away.
func (g *Group) Later(d time.Duration) {
	g.Live += Ticks(d, VideoClock)
}

// NewestGroup returns the pictures from the newest key picture on. It says
// false when there is none, or when it has left the ring.
func (h *History) NewestGroup() (Group, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if !h.hasKey || h.count-h.key > uint64(len(h.pictures)) {
		return Group{}, false
	}
	key, last := h.at(h.key), h.at(h.count-1)
	if key.first < h.tail {
		return Group{}, false
	}
	g := Group{
		First: key.first, KeyEnd: key.end, From: h.key, To: h.count,
		Live: last.ts, Frame: VideoClock / 30, Span: last.pts - key.pts,
		Added: h.added,
	}
	for n := g.From; n < g.To; n++ {
		g.Bytes += h.at(n).bytes
	}
	if g.To-g.From > 1 {
		g.Frame = (last.ts - key.ts) / uint32(g.To-g.From-1)
	}
	return g, true
}

// KeyAfter returns the newest key picture's first packet and its number, when
// that number is the given one or later.
func (h *History) KeyAfter(number uint64) (index, key uint64, ok bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if !h.hasKey || h.key < number || h.count-h.key > uint64(len(h.pictures)) || h.at(h.key).first < h.tail {
		return 0, 0, false
	}
	return h.at(h.key).first, h.key, true
}

// Picture returns the packets [first, end) of the picture numbered n. It says
// false when the picture is not held, or not whole.
func (h *History) Picture(n uint64) (first, end uint64, ok bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if n >= h.count || h.count-n > uint64(len(h.pictures)) || h.at(n).first < h.tail {
		return 0, 0, false
	}
	return h.at(n).first, h.at(n).end, true
}

// Newest returns the number of the picture that is to come, and the live
// timestamp of the one before it.
func (h *History) Newest() (next uint64, ts uint32) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.count == 0 {
		return 0, 0
	}
	return h.count, h.at(h.count - 1).ts
}
