package webrtc

import (
	"encoding/binary"
	"time"

	"github.com/pion/rtcp"
)

const (
	// hugeNack packets missing at once are no loss but an interruption, a
	// rebinding of the network for example: a restart costs less.
	hugeNack = 200
	// Retransmissions may use a fifth of the stream's rate, saved up for a second.
	retransmitShare = 5
	retransmitBurst = 64 << 10
)

// feedback is what a datagram of RTCP asks of us.
type feedback struct {
	missing []uint16 // sequence numbers of video to retransmit
	huge    bool     // more than we would
	key     bool     // a key picture is wanted (PLI or FIR)
}

// parseFeedback reads a compound RTCP packet. Unknown packets are skipped.
func parseFeedback(b []byte, video uint32) (feedback, error) {
	packets, err := rtcp.Unmarshal(b)
	if err != nil {
		return feedback{}, err
	}
	var f feedback
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.TransportLayerNack:
			if p.MediaSSRC == video {
				f.nack(p.Nacks)
			}
		case *rtcp.PictureLossIndication:
			f.key = f.key || p.MediaSSRC == video
		case *rtcp.FullIntraRequest:
			for _, e := range p.FIR {
				f.key = f.key || e.SSRC == video
			}
		}
	}
	return f, nil
}

func (f *feedback) nack(pairs []rtcp.NackPair) {
	for i := range pairs {
		pairs[i].Range(func(seq uint16) bool {
			f.huge = f.huge || len(f.missing) >= hugeNack
			if !f.huge {
				f.missing = append(f.missing, seq)
			}
			return !f.huge
		})
	}
}

// feedback handles an RTCP datagram. For the socket's reader alone, whose batch
// b is.
func (v *viewer) feedback(data []byte, b *batch, now time.Time) {
	v.mu.Lock()
	open := v.keys.open // which only this goroutine uses
	v.mu.Unlock()
	plain, err := open.DecryptRTCP(nil, data, nil)
	if err != nil {
		v.stats.dropForged.Add(1)
		return
	}
	f, err := parseFeedback(plain, v.feed.video.ssrc)
	if err != nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return
	}
	restart := f.key || f.huge
	if !restart {
		restart = v.retransmit(f.missing, b, now)
	}
	if restart && v.restart(now) {
		v.feed.wake()
	}
}

// retransmit sends packets again from the shared history: in the RTX stream
// when the viewer has one (RFC 4588), else byte by byte the same. It says
// whether the viewer misses something that has left the history, which no
// browser complains about again: it must be restarted.
func (v *viewer) retransmit(missing []uint16, b *batch, now time.Time) (gone bool) {
	rate := v.feed.video.rate() / retransmitShare
	v.budget.rate, v.budget.burst = rate, max(rate, retransmitBurst)
	b.reset()
	for _, seq := range missing {
		index, extended, ok := v.video.index(seq)
		if !ok {
			v.stats.nackRefused.Add(1)
			continue
		}
		n, held := v.feed.video.fetch(b.packets[:1], index)
		if !held || n == 0 {
			gone = true
			continue
		}
		if !v.budget.take(now, len(b.packets[0].data)) {
			v.stats.dropBudget.Add(1)
			continue
		}
		if err := v.again(&b.packets[0], extended, b); err != nil {
			v.closed = true
			return false
		}
		if b.used == maxTurn {
			v.flushAgain(b)
		}
	}
	v.flushAgain(b)
	return gone
}

// again seals one packet for the second time.
func (v *viewer) again(p *packet, extended uint64, b *batch) error {
	plain := b.next(p.data)
	ts := v.video.plan.timestamp(p.picture, timestamp(p.data))
	if v.pt.rtx == 0 {
		setPayloadType(plain, v.pt.video)
		setSequence(plain, uint16(extended))
		setTimestamp(plain, ts)
		return b.seal(v.keys, plain)
	}
	// RFC 4588 §4: the original sequence number, then the original payload.
	plain = b.buf[b.length : b.length+len(p.data)+2]
	copy(plain[headerSize+2:], p.data[headerSize:])
	binary.BigEndian.PutUint16(plain[headerSize:], uint16(extended))
	setPayloadType(plain, v.pt.rtx)
	setSequence(plain, v.rtxSeq)
	setTimestamp(plain, ts)
	setSSRC(plain, v.feed.rtx)
	v.rtxSeq++
	return b.seal(v.keys, plain)
}

func (v *viewer) flushAgain(b *batch) {
	bytes, used := b.length, b.used
	if used == 0 {
		return
	}
	lost, _ := b.flush(v.socket, &v.to)
	v.stats.sent(used, bytes, lost)
	v.stats.retransmitted.Add(uint64(used))
}

// ntp is a wall clock in NTP's 32.32 format (RFC 3550 §4).
func ntp(t time.Time) uint64 {
	const epoch = 2_208_988_800 // 1900 to 1970 in seconds
	return uint64(t.Unix()+epoch)<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}

// sendReport sends sender reports for both media from the one stream clock, so
// that the receiver can align sound and picture. They never describe catch-up
// timestamps.
func (v *viewer) sendReport(now time.Time) {
	at := v.feed.position(now)
	packets := []rtcp.Packet{&rtcp.SenderReport{
		SSRC: v.feed.video.ssrc, NTPTime: ntp(now), RTPTime: v.feed.videoBase + ticks(at, videoClock),
		PacketCount: v.video.packets, OctetCount: v.video.octets,
	}}
	names := []rtcp.SourceDescriptionChunk{chunk(v.feed.video.ssrc)}
	if v.pt.audio != 0 {
		packets = append(packets, &rtcp.SenderReport{
			SSRC: v.feed.audio.ssrc, NTPTime: ntp(now), RTPTime: v.feed.audioBase + ticks(at, audioClock),
			PacketCount: v.audio.packets, OctetCount: v.audio.octets,
		})
		names = append(names, chunk(v.feed.audio.ssrc))
	}
	v.sendControl(append(packets, &rtcp.SourceDescription{Chunks: names}))
}

func chunk(ssrc uint32) rtcp.SourceDescriptionChunk {
	return rtcp.SourceDescriptionChunk{Source: ssrc, Items: []rtcp.SourceDescriptionItem{
		{Type: rtcp.SDESCNAME, Text: "glimpse"},
	}}
}

// sendControl seals and sends RTCP; what goes wrong is as good as lost.
func (v *viewer) sendControl(packets []rtcp.Packet) {
	raw, err := rtcp.Marshal(packets)
	if err != nil {
		return
	}
	sealed, err := v.keys.seal.EncryptRTCP(nil, raw, nil)
	if err != nil {
		v.closed = true
		return
	}
	_ = v.socket.send(&v.to, sealed, train{count: 1, size: len(sealed), bytes: len(sealed)})
}
