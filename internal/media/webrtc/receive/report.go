package receive

import (
	"time"

	"github.com/pion/rtcp"
)

// reception is what a receiver report says of one source (RFC 3550 §6.4.1).
type reception struct {
	ssrc     uint32
	transit  int64   // of the last packet, in ticks
	jitter   float64 // likewise
	seen     bool
	expected uint64 // at the last report
	counted  uint64 // packets received, likewise
	first    uint64 // extended sequence number

	senderNTP uint32 // the middle of the last sender report's
	senderAt  time.Time
}

// arrived updates the jitter (RFC 3550 §A.8).
func (r *reception) arrived(ts uint32, rate int64, at time.Duration) {
	transit := int64(at)*rate/int64(time.Second) - int64(ts)
	if r.seen {
		d := int64(int32(uint32(transit) - uint32(r.transit)))
		r.jitter += (float64(max(d, -d)) - r.jitter) / 16
	}
	r.transit, r.seen = transit, true
}

// block makes the part of a report for what a reorder has seen.
func (r *reception) block(in *reorder, now time.Time) rtcp.ReceptionReport {
	expected := in.highest - r.first
	since, came := expected-r.expected, in.received-r.counted
	var fraction uint8
	if since > 0 && came < since {
		fraction = uint8(min(255, (since-came)<<8/since))
	}
	r.expected, r.counted = expected, in.received
	lost := uint64(0)
	if in.received < expected {
		lost = min(expected-in.received, 1<<23-1)
	}
	b := rtcp.ReceptionReport{
		SSRC: r.ssrc, FractionLost: fraction, TotalLost: uint32(lost),
		LastSequenceNumber: uint32(in.highest - 1), Jitter: uint32(r.jitter),
	}
	if !r.senderAt.IsZero() {
		b.LastSenderReport = r.senderNTP
		b.Delay = uint32(now.Sub(r.senderAt) * 65536 / time.Second)
	}
	return b
}
