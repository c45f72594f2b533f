package webrtc

import (
	"math/rand/v2"
	"sync"
	"time"

	"glimpse/internal/media/hub"
)

const (
	// restartEvery bounds restarts of one viewer (MEDIA J).
	restartEvery = time.Second
	// paceGrain is the shortest wait that is worth a timer.
	paceGrain   = 2 * time.Millisecond
	reportEvery = time.Second
	// stalledAfter a picture nothing has come that a replay could end at.
	stalledAfter = 500 * time.Millisecond
	// firstSequence bounds a random first sequence number: a roll-over that is
	// lost at the very start would break the receiver's count (RFC 3711 §3.3.1).
	firstSequence = 1 << 14
)

// payloadTypes are the viewer's own, from its offer; 0 for none.
type payloadTypes struct{ video, rtx, audio uint8 }

// viewer is one browser's place in a feed: cursors, keys and a destination. It
// does nothing by itself: a sender pumps it, the socket's reader brings feedback.
type viewer struct {
	feed   *feed
	socket *socket
	pt     payloadTypes
	stats  *counters

	mu        sync.Mutex
	keys      *keys
	to        destination
	closed    bool // the session ends at the next sweep, if it has not
	video     cursor
	audio     cursor
	rtxSeq    uint16
	pace      pacer
	budget    bucket // retransmissions
	report    time.Time
	joined    time.Time
	restarted time.Time
	owed      bool // a restart, with the next picture
}

// newViewer makes a viewer that has not joined yet.
func newViewer(f *feed, pt payloadTypes, k *keys, to destination) *viewer {
	v := &viewer{feed: f, socket: f.server.socket, pt: pt, stats: &f.server.stats, keys: k, to: to}
	v.video.seq = rand.Uint64N(firstSequence)
	v.audio.seq = rand.Uint64N(firstSequence)
	v.rtxSeq = uint16(rand.Uint32N(firstSequence))
	return v
}

// join places the viewer: pictures from the newest key picture on, sound live.
func (v *viewer) join(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.joined = now
	v.audio.moveTo(v.feed.audio.end(), catchUp{})
	if !v.replay(now) {
		v.video.wait(0)
	}
}

// replay moves to the newest key picture, with all that follows it as far as
// the bounds allow. It says false when there is nothing to go to.
//
// Receivers derive their delay from how timestamps relate to arrival. While the
// publisher is away the replay is therefore stamped as of now, where its return
// will go on; while it merely stalls its backlog may go on from where it was, so
// there is no right stamp for a viewer that has seen this picture in time: the
// restart is owed until the next one.
func (v *viewer) replay(now time.Time) bool {
	g, ok := v.feed.video.newestGroup()
	if !ok {
		return false
	}
	v.owed = false
	if stall := now.Sub(g.added); stall > stalledAfter {
		if v.feed.run.Stream().State() == hub.StateInterrupted {
			g.later(stall)
		} else if v.joined.Before(g.added) {
			v.owed = true
			return false
		}
	}
	whole := g.bytes <= catchUpBytes && g.span <= catchUpSpan && v.feed.server.catchUps.take(now, g.bytes)
	v.video.replay(g, whole)
	if !whole {
		v.stats.keyFrameAlone.Add(1)
	}
	v.pace = pacer{active: true, from: g.from, start: now,
		step: time.Duration(v.video.plan.step) * time.Second / videoClock}
	return true
}

// restart sends the viewer back to the newest key picture: its decoder has lost
// the thread. At most once a second; it says whether it did.
func (v *viewer) restart(now time.Time) bool {
	if now.Sub(v.restarted) < restartEvery || v.video.waiting || !v.replay(now) {
		return false
	}
	v.restarted = now
	v.stats.restarts.Add(1)
	return true
}

// move sends to another address from now on.
func (v *viewer) move(to destination) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.to = to
}

// close ends the viewer: pump and feedback do nothing any more.
func (v *viewer) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
}

// over reports whether the viewer was closed, or cannot go on.
func (v *viewer) over() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.closed
}

// pump sends the viewer's next turn: its report when due, sound first, then at
// most maxTurn packets of video. It says whether there is more to send at once,
// or after how long.
func (v *viewer) pump(b *batch, now time.Time) (more bool, wait time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	defer func() {
		if fault := recover(); fault != nil { // ends this viewer only
			v.closed = true
			v.feed.server.fault(fault)
			more, wait = false, 0
		}
	}()
	if v.closed {
		return false, 0
	}
	if !now.Before(v.report) {
		v.sendReport(now)
		v.report = now.Add(reportEvery)
	}
	if v.pt.audio != 0 {
		v.pumpAudio(b)
	}
	return v.pumpVideo(b, now)
}

func (v *viewer) pumpAudio(b *batch) {
	c, h := &v.audio, v.feed.audio
	n, ok := h.fetch(b.packets[:], c.next)
	if !ok {
		v.stats.dropBehind.Add(1)
		c.moveTo(h.end(), catchUp{})
		return
	}
	v.send(b, c, n, v.pt.audio)
}

func (v *viewer) pumpVideo(b *batch, now time.Time) (more bool, wait time.Duration) {
	c, h := &v.video, v.feed.video
	if v.owed && c.next < h.end() {
		v.restart(now)
	}
	if c.waiting {
		index, number, ok := h.keyAfter(c.waitFor)
		if !ok {
			return false, 0
		}
		c.goOn(index, number)
		v.pace.active, v.owed = false, false
	}
	limit := maxTurn
	if c.stop != 0 {
		limit = int(min(maxTurn, c.stop-c.next))
	}
	n, ok := h.fetch(b.packets[:limit], c.next)
	if !ok {
		// The history has run away: this sender was too slow for a viewer.
		v.stats.dropBehind.Add(1)
		if !v.replay(now) {
			c.wait(0)
		}
		return !c.waiting, 0
	}
	due, wait := v.pace.due(b.packets[:n], now)
	v.send(b, c, due, v.pt.video)
	switch {
	case due < n:
		return false, wait
	case c.stop != 0 && c.next >= c.stop:
		c.wait(c.waitFor)
		return true, 0
	case n < limit:
		v.pace.active = false // at the live picture
		return false, 0
	}
	return true, 0
}

// send seals and sends the n packets in b.packets from the cursor on.
func (v *viewer) send(b *batch, c *cursor, n int, pt uint8) {
	if n == 0 {
		return
	}
	b.reset()
	for i := range n {
		p := &b.packets[i]
		plain := b.next(p.data)
		ts := c.plan.timestamp(p.picture, timestamp(p.data))
		setPayloadType(plain, pt)
		setSequence(plain, uint16(c.seq))
		setTimestamp(plain, ts)
		if err := b.seal(v.keys, plain); err != nil {
			// 2^48 packets: the key is used up (RFC 3711 §9.2).
			v.closed = true
			return
		}
		c.sent(ts, len(plain)-headerSize)
	}
	bytes, used := b.length, b.used
	lost, _ := b.flush(v.socket, &v.to)
	v.stats.sent(used, bytes, lost)
}

// pacer spreads catching up over time: a picture goes out when its timestamp
// says, the first at once.
type pacer struct {
	active bool
	from   uint64 // number of the first picture
	start  time.Time
	step   time.Duration // from picture to picture
}

// due counts the packets that may go now, and says how long the next one waits.
func (p *pacer) due(packets []packet, now time.Time) (count int, wait time.Duration) {
	if !p.active {
		return len(packets), 0
	}
	for i := range packets {
		at := p.start.Add(time.Duration(packets[i].picture-p.from) * p.step)
		if wait := at.Sub(now); wait >= paceGrain {
			return i, wait
		}
	}
	return len(packets), 0
}

// bucket is a token bucket of bytes. The zero value is empty until its first use.
type bucket struct {
	rate, burst int // bytes a second, bytes
	level       int
	at          time.Time
}

// take refills the bucket and takes n bytes out if they are there.
func (b *bucket) take(now time.Time, n int) bool {
	if b.at.IsZero() {
		b.level = b.burst
	} else if since := now.Sub(b.at); since > 0 {
		b.level = int(min(int64(b.burst), int64(b.level)+int64(min(since, time.Minute))*int64(b.rate)/int64(time.Second)))
	}
	b.at = now
	if n > b.level {
		return false
	}
	b.level -= n
	return true
}

// sharedBucket is a bucket for all viewers.
type sharedBucket struct {
	mu     sync.Mutex
	bucket bucket
}

func (s *sharedBucket) take(now time.Time, n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bucket.take(now, n)
}
