package webrtc

import (
	"math/rand/v2"
	"sync"
	"time"

	"glimpse/internal/media/hub"
	"glimpse/internal/media/webrtc/packets"
	"glimpse/internal/media/webrtc/transport"
)

const (
	// restartEvery bounds restarts of one viewer (MEDIA J).
	restartEvery = time.Second
	// paceGrain is the shortest wait that is worth a timer.
	paceGrain   = 2 * time.Millisecond
	reportEvery = time.Second
	// A viewer gets so many bytes at once, and then so many a second: larger pictures are
	// spread, since neither sockets nor what lies on the way hold all of one.
	trainBytes, trainRate = 64 << 10, 16 << 20
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
	feed  *feed
	pt    payloadTypes
	stats *counters

	mu        sync.Mutex
	keys      *transport.Keys
	to        transport.Destination
	closed    bool // the session ends at the next sweep, if it has not
	video     packets.Cursor
	audio     packets.Cursor
	rtxSeq    uint16
	pace      pacer
	train     bucket // pictures
	budget    bucket // retransmissions
	report    time.Time
	joined    time.Time
	restarted time.Time
	asked     time.Time // when the publisher was asked for a key picture
	owed      bool      // a restart, with the next picture
	begun     uint64    // number of the picture whose packet was sent last
	health
}

// health is how a viewer's network does.
type health struct {
	control controller
	slow    bool // it was closed because its network is too slow
	lost    uint32
	rtt     time.Duration // by the newest report; 0: none yet
}

// told is what the receiver has told and what it was sent.
func (v *viewer) told() hub.ViewerStats {
	v.mu.Lock()
	defer v.mu.Unlock()
	return hub.ViewerStats{Bytes: v.video.Octets + v.audio.Octets, Lost: uint64(max(0, int32(v.lost))), RTT: v.rtt}
}

// newViewer makes a viewer that has not joined yet.
func newViewer(f *feed, pt payloadTypes, k *transport.Keys, to transport.Destination) *viewer {
	v := &viewer{feed: f, pt: pt, stats: &f.server.stats, keys: k, to: to}
	v.video.Seq = rand.Uint64N(firstSequence)
	v.audio.Seq = rand.Uint64N(firstSequence)
	v.rtxSeq = uint16(rand.Uint32N(firstSequence))
	v.train.rate, v.train.burst = trainRate, trainBytes
	return v
}

// join places the viewer: pictures from the newest key picture on, sound live.
func (v *viewer) join(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.joined = now
	v.audio.MoveTo(v.feed.audio.End(), packets.CatchUp{})
	if !v.replay(now) {
		v.video.Wait(0)
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
	g, ok := v.feed.video.NewestGroup()
	if !ok {
		return false
	}
	v.owed = false
	if stall := now.Sub(g.Added); stall > stalledAfter {
		if v.feed.run.Stream().State() == hub.StateInterrupted {
			g.Later(stall)
		} else if v.joined.Before(g.Added) {
			v.owed = true
			return false
		}
	}
	whole := g.Bytes <= packets.CatchUpBytes && g.Span <= packets.CatchUpSpan && v.feed.server.catchUps.take(now, g.Bytes)
	v.video.Replay(g, whole)
	if !whole {
		v.stats.keyFrameAlone.Add(1)
		asked := v.feed.run.Stream().AskKey()
		v.feed.log.Info("webrtc viewer gets a key frame alone and waits for the next one", "bytes", g.Bytes, "span", g.Span, "asked", asked)
	}
	v.pace = pacer{active: true, from: g.From, start: now,
		step: time.Duration(v.video.Plan.Step) * time.Second / packets.VideoClock}
	return true
}

// restart sends the viewer back to the newest key picture: its decoder has lost
// the thread. At most once a second; it says whether it did.
func (v *viewer) restart(now time.Time) bool {
	if now.Sub(v.restarted) < restartEvery || v.video.Waiting || !v.replay(now) {
		return false
	}
	v.restarted = now
	v.stats.restarts.Add(1)
	return true
}

// move sends to another address from now on.
func (v *viewer) move(to transport.Destination) {
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
// most transport.MaxBatch packets of video. It says whether there is more to send at once,
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
	if v.to.Full() {
		c.MoveTo(h.End(), packets.CatchUp{})
		return
	}
	n, ok := h.Fetch(b.packets[:], c.Next)
	if !ok {
		v.stats.dropBehind.Add(1)
		c.MoveTo(h.End(), packets.CatchUp{})
		return
	}
	v.send(b, c, n, v.pt.audio)
}

func (v *viewer) pumpVideo(b *batch, now time.Time) (more bool, wait time.Duration) {
	c, h := &v.video, v.feed.video
	if v.to.Full() { // goes on with a key picture when there is room
		if !c.Waiting {
			v.stats.dropStream.Add(1)
			next, _ := h.Newest()
			c.Wait(next)
		}
		return false, 0
	}
	if v.owed && c.Next < h.End() {
		v.restart(now)
	}
	if c.Waiting {
		index, number, ok := h.KeyAfter(c.WaitFor)
		if !ok {
			return false, 0
		}
		c.GoOn(index, number)
		v.pace.active, v.owed = false, false
	}
	limit := transport.MaxBatch
	if c.Stop != 0 {
		limit = int(min(transport.MaxBatch, c.Stop-c.Next))
	}
	n, ok := h.Fetch(b.packets[:limit], c.Next)
	if !ok {
		// The history has run away: this sender was too slow for a viewer.
		v.stats.dropBehind.Add(1)
		if !v.replay(now) {
			c.Wait(0)
		}
		return !c.Waiting, 0
	}
	if n > 0 && v.control.level != qualityFull {
		chosen, ok := v.choose(b, c, n)
		if !ok {
			return true, 0
		}
		if chosen < n {
			n, limit = chosen, chosen
		}
	}
	due, wait := v.pace.due(b.packets[:n], now)
	if fit := v.train.first(now, b.packets[:due]); fit < due {
		due, wait = fit, paceGrain
	}
	v.send(b, c, due, v.pt.video)
	switch {
	case due < n:
		return false, wait
	case c.Stop != 0 && c.Next >= c.Stop:
		c.Wait(c.WaitFor)
		return true, 0
	case n < limit:
		v.pace.active = false // at the live picture
		return false, 0
	}
	return true, 0
}

// choose leaves out what the viewer's level does not allow. It returns how many of
// the n packets fetched may go; false when the cursor has moved on instead.
func (v *viewer) choose(b *batch, c *packets.Cursor, n int) (int, bool) {
	if v.control.level >= qualityKeys {
		if c.Stop != 0 {
			return n, true
		}
		// The picture that has begun, or the key picture, and then the next one.
		number := b.packets[0].Picture
		_, end, ok := v.feed.video.Picture(number)
		if !ok {
			c.Wait(number + 1)
			return 0, false
		}
		c.StopAfter(end, number+1)
		return min(n, int(end-c.Next)), true
	}
	spare := 0
	for spare < n && b.packets[spare].Disposable && b.packets[spare].Picture != v.begun {
		spare++
	}
	if spare > 0 {
		c.Skip(c.Next + uint64(spare))
		return 0, false
	}
	for i := range n {
		if p := &b.packets[i]; p.Disposable && p.Picture != v.begun {
			return i, true
		}
	}
	return n, true
}

// send seals and sends the n packets in b.packets from the cursor on.
func (v *viewer) send(b *batch, c *packets.Cursor, n int, pt uint8) {
	if n == 0 {
		return
	}
	b.Reset()
	for i := range n {
		p := &b.packets[i]
		plain := b.Next(p.Data, 0)
		ts := c.Plan.Timestamp(p.Picture, packets.Timestamp(p.Data))
		packets.SetPayloadType(plain, pt)
		packets.SetSequence(plain, uint16(c.Seq))
		packets.SetTimestamp(plain, ts)
		if err := b.Seal(v.keys, plain); err != nil {
			// 2^48 packets: the key is used up (RFC 3711 §9.2).
			v.closed = true
			return
		}
		c.Sent(ts, len(plain)-packets.HeaderSize)
		if c == &v.video {
			v.begun = p.Picture
		}
	}
	used, bytes := b.Sealed()
	v.stats.sent(used, bytes, b.Flush(&v.to))
}

// batch is a sender's scratch: packets fetched, sealed and sent in one go.
type batch struct {
	packets [transport.MaxBatch]packets.Packet
	transport.Batch
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
func (p *pacer) due(list []packets.Packet, now time.Time) (count int, wait time.Duration) {
	if !p.active {
		return len(list), 0
	}
	for i := range list {
		at := p.start.Add(time.Duration(list[i].Picture-p.from) * p.step)
		if wait := at.Sub(now); wait >= paceGrain {
			return i, wait
		}
	}
	return len(list), 0
}
