package live

import (
	"encoding/binary"
	"time"
)

// handle deals with a packet of the peer.
func (c *Conn) handle(h header, packet []byte, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.timing.heard = at
	now, body := c.since(at), packet[headerSize:]
	if h.control && h.kind == typeHandshake && c.call != nil {
		c.call.answered(c, h, body, now)
		return
	}
	if c.peer == 0 {
		return // nobody has agreed yet
	}
	if !h.control {
		c.data(h, body, now)
		return
	}
	switch h.kind {
	case typeACK:
		c.acked(h, body, now)
	case typeNAK:
		c.nacked(body, now)
	case typeACKACK:
		c.measure(h, now)
	case typeShutdown:
		c.over = true
		c.signal()
	case typeUser:
		c.crypto.message(c, h.subtype, body)
	}
}

// data takes a packet of media.
func (c *Conn) data(h header, payload []byte, now time.Duration) {
	if len(payload) == 0 || len(payload) > MaxPayload || h.flags&flagSolo != flagSolo || c.over {
		return // live mode has whole messages only
	}
	if c.crypto.rx != nil || h.flags&flagKeys != 0 {
		if c.crypto.rx == nil || h.flags&flagKeys == 0 || !c.crypto.rx.crypt(h.flags, h.seq, payload) {
			c.stats.Undecrypted++
			return
		}
	}
	from, lost := c.in.push(h.seq, c.timing.time(h.stamp)+c.recvDelay, now, payload, h.flags&flagResent != 0)
	if lost > 0 {
		c.control(typeNAK, 0, 0, words(appendRange(nil, from, (from+uint32(lost)-1)&seqMask)...))
	}
	if c.timing.light++; c.timing.light >= 64 { // a short one between the full ones (§3.2.4)
		c.timing.light = 0
		c.control(typeACK, 0, 0, words(c.in.have))
	}
	if c.in.ripe(now, c.timing.patience) {
		c.signal()
	}
}

// acked hears what the peer has.
func (c *Conn) acked(h header, body []byte, now time.Duration) {
	if len(body) < 4 {
		return
	}
	c.out.ack(binary.BigEndian.Uint32(body)&seqMask, now)
	if len(body) < 16 || h.info == 0 {
		return
	}
	held := 0
	if now < c.out.began+c.sendDelay { // the first is not handed out before
		held = c.out.confirmed()
	}
	c.out.theirs.hear(int(min(binary.BigEndian.Uint32(body[12:]), 1<<30)), held, now)
	if c.draining {
		return // what is not confirmed is said again, with the buffer as it is then
	}
	c.control(typeACKACK, 0, h.info, words(0))
	rtt := time.Duration(binary.BigEndian.Uint32(body[4:])) * time.Microsecond
	if c.in.packets == 0 && rtt > 0 && rtt < 10*time.Second { // who receives measures by itself
		c.timing.rtt = rtt
	}
}

// nacked sends again what the peer misses: each packet at most once in the time
// that an answer takes.
func (c *Conn) nacked(body []byte, now time.Duration) {
	since := now - max(c.timing.rtt*3/4, tick/2)
	for i := 0; len(body) >= 4 && i < nakRanges*4; i++ {
		from := binary.BigEndian.Uint32(body)
		to := from
		body = body[4:]
		if from&(1<<31) != 0 {
			if len(body) < 4 {
				return
			}
			to = binary.BigEndian.Uint32(body)
			body = body[4:]
		}
		c.out.nak(from&seqMask, to&seqMask, since, now, c.send)
	}
}

// measure learns the round trip and the drift of the clocks from the answer to an
// acknowledgement (§4.10, §4.7).
func (c *Conn) measure(h header, now time.Duration) {
	t := &c.timing
	sent := &t.acks[h.info%uint32(len(t.acks))]
	if *sent == 0 || t.ackNumber-h.info >= uint32(len(t.acks)) {
		return
	}
	rtt := now - *sent
	*sent = 0
	if t.rtt == rttStart {
		t.rtt, t.vary = rtt, rtt/2
	}
	t.vary = (3*t.vary + (rtt - t.rtt).Abs()) / 4
	t.rtt = (7*t.rtt + rtt) / 8
	t.base += t.drift.sample(now - t.time(h.stamp) - t.rtt/2)
}

// time is our time of a peer's timestamp.
func (t *timing) time(stamp uint32) time.Duration {
	t.stamp += int64(int32(stamp - uint32(t.stamp)))
	return t.base + time.Duration(t.stamp)*time.Microsecond
}

// drift finds how far the peer's clock runs from ours. It is pure.
type drift struct {
	sum   time.Duration
	n     int
	first time.Duration // the first mean
	known bool
}

// sample takes how late a packet is, and returns now and then by how much the
// peer's time 0 is to be moved: at most 5 ms at once.
func (d *drift) sample(late time.Duration) time.Duration {
	d.sum += late
	if d.n++; d.n < driftSamples {
		return 0
	}
	mean := d.sum / time.Duration(d.n)
	d.sum, d.n = 0, 0
	if !d.known {
		d.first, d.known = mean, true
		return 0
	}
	return min(max(mean-d.first, -driftStep), driftStep)
}
