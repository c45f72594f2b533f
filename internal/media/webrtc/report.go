package webrtc

import (
	"encoding/binary"
	"time"

	"github.com/pion/rtcp"

	"glimpse/internal/media/webrtc/packets"
	"glimpse/internal/media/webrtc/transport"
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

	reported      bool   // a receiver report on the video came:
	highest, lost uint32 // its extended sequence number and cumulative loss
	sent, held    uint32 // the sender report that it answers, in the middle of NTP's 64 bits, and how long it held that (RFC 3550 §6.4.1)
	room          int    // REMB in bytes a second; 0 for none
}

// parseFeedback reads a compound RTCP packet. Unknown packets are skipped.
func parseFeedback(b []byte, video uint32) (feedback, error) {
	list, err := rtcp.Unmarshal(b)
	if err != nil {
		return feedback{}, err
	}
	var f feedback
	for _, p := range list {
		switch p := p.(type) {
		case *rtcp.TransportLayerNack:
			if p.MediaSSRC == video {
				f.nack(p.Nacks)
			}
		case *rtcp.ReceiverReport:
			f.reception(p.Reports, video)
		case *rtcp.ReceiverEstimatedMaximumBitrate:
			f.room = int(min(p.Bitrate/8, 1<<30))
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

func (f *feedback) reception(blocks []rtcp.ReceptionReport, video uint32) {
	for _, b := range blocks {
		if b.SSRC == video {
			// 24 bits, signed: duplicates count (RFC 3550 §6.4.1).
			f.reported, f.highest, f.lost = true, b.LastSequenceNumber, uint32(int32(b.TotalLost<<8)>>8)
			f.sent, f.held = b.LastSenderReport, b.Delay
		}
	}
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

// feedback handles an RTCP datagram.
func (v *viewer) feedback(data []byte, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	plain, err := v.keys.OpenControl(data)
	if err != nil {
		v.stats.dropForged.Add(1)
		return
	}
	f, err := parseFeedback(plain, v.feed.video.SSRC())
	if err != nil {
		return
	}
	b := v.feed.server.scratch.Get().(*batch)
	defer v.feed.server.scratch.Put(b)
	if v.closed {
		return
	}
	v.judge(&f, now)
	if v.closed {
		return
	}
	if f.key && now.Sub(v.asked) >= restartEvery && v.feed.run.Stream().AskKey() {
		v.asked = now // the publisher makes one, and until then there is the cached one
	}
	restart := f.key || f.huge
	if !restart && !v.to.Reliable() { // TCP loses nothing
		restart = v.retransmit(f.missing, b, now)
	}
	if restart && v.restart(now) {
		v.feed.wake()
	}
}

// judge lets the controller see what the receiver reports.
func (v *viewer) judge(f *feedback, now time.Time) {
	if f.room > 0 {
		v.control.estimate(f.room, now)
	}
	if !f.reported {
		return
	}
	v.lost = f.lost
	if round := int32(uint32(ntp(now)>>16) - f.sent - f.held); f.sent != 0 && round >= 0 {
		v.rtt = time.Duration(round) * time.Second >> 16
	}
	if v.to.Reliable() {
		return
	}
	before := v.control.level
	level := v.control.report(f.highest, f.lost, v.feed.video.Rate(), now)
	if level == before {
		return
	}
	v.feed.log.Info("webrtc viewer's quality changed", "from", before, "to", level)
	if level > before {
		v.stats.degraded.Add(1)
	}
	if level == qualityNone {
		// Nothing in WHEP tells it why but this, and the refusal of its next POST.
		v.sendControl([]rtcp.Packet{&rtcp.Goodbye{
			Sources: []uint32{v.feed.video.SSRC()}, Reason: "the network is too slow for WebRTC: play LL-HLS",
		}})
		v.closed, v.slow = true, true
	}
}

// retransmit sends packets again from the shared history: in the RTX stream
// when the viewer has one (RFC 4588), else byte by byte the same. It says
// whether the viewer misses something that has left the history, which no
// browser complains about again: it must be restarted.
func (v *viewer) retransmit(missing []uint16, b *batch, now time.Time) (gone bool) {
	rate := v.feed.video.Rate() / retransmitShare
	v.budget.rate, v.budget.burst = rate, max(rate, retransmitBurst)
	b.Reset()
	for _, seq := range missing {
		index, extended, ok := v.video.Index(seq)
		if !ok {
			v.stats.nackRefused.Add(1)
			continue
		}
		n, held := v.feed.video.Fetch(b.packets[:1], index)
		if !held || n == 0 {
			gone = true
			continue
		}
		if !v.budget.take(now, len(b.packets[0].Data)) {
			v.stats.dropBudget.Add(1)
			continue
		}
		if err := v.again(&b.packets[0], extended, b); err != nil {
			v.closed = true
			return false
		}
		if used, _ := b.Sealed(); used == transport.MaxBatch {
			v.flushAgain(b)
		}
	}
	v.flushAgain(b)
	return gone
}

// again seals one packet for the second time.
func (v *viewer) again(p *packets.Packet, extended uint64, b *batch) error {
	ts := v.video.Plan.Timestamp(p.Picture, packets.Timestamp(p.Data))
	if v.pt.rtx == 0 {
		plain := b.Next(p.Data, 0)
		packets.SetPayloadType(plain, v.pt.video)
		packets.SetSequence(plain, uint16(extended))
		packets.SetTimestamp(plain, ts)
		return b.Seal(v.keys, plain)
	}
	// RFC 4588 §4: the original sequence number, then the original payload.
	plain := b.Next(p.Data, 2)
	copy(plain[packets.HeaderSize+2:], p.Data[packets.HeaderSize:])
	binary.BigEndian.PutUint16(plain[packets.HeaderSize:], uint16(extended))
	packets.SetPayloadType(plain, v.pt.rtx)
	packets.SetSequence(plain, v.rtxSeq)
	packets.SetTimestamp(plain, ts)
	packets.SetSSRC(plain, v.feed.rtx)
	v.rtxSeq++
	return b.Seal(v.keys, plain)
}

func (v *viewer) flushAgain(b *batch) {
	used, bytes := b.Sealed()
	if used == 0 {
		return
	}
	lost := b.Flush(&v.to)
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
	video, audio := v.feed.video.SSRC(), v.feed.audio.SSRC()
	reports := []rtcp.Packet{&rtcp.SenderReport{
		SSRC: video, NTPTime: ntp(now), RTPTime: v.feed.videoBase + packets.Ticks(at, packets.VideoClock),
		PacketCount: v.video.Packets, OctetCount: uint32(v.video.Octets),
	}}
	names := []rtcp.SourceDescriptionChunk{chunk(video)}
	if v.pt.audio != 0 {
		reports = append(reports, &rtcp.SenderReport{
			SSRC: audio, NTPTime: ntp(now), RTPTime: v.feed.audioBase + packets.Ticks(at, packets.AudioClock),
			PacketCount: v.audio.Packets, OctetCount: uint32(v.audio.Octets),
		})
		names = append(names, chunk(audio))
	}
	v.sendControl(append(reports, &rtcp.SourceDescription{Chunks: names}))
}

func chunk(ssrc uint32) rtcp.SourceDescriptionChunk {
	return rtcp.SourceDescriptionChunk{Source: ssrc, Items: []rtcp.SourceDescriptionItem{
		{Type: rtcp.SDESCNAME, Text: "glimpse"},
	}}
}

// sendControl seals and sends RTCP; what goes wrong is as good as lost.
func (v *viewer) sendControl(compound []rtcp.Packet) {
	raw, err := rtcp.Marshal(compound)
	if err != nil {
		return
	}
	sealed, err := v.keys.SealControl(raw)
	if err != nil {
		v.closed = true
		return
	}
	_ = v.to.Send(sealed)
}
