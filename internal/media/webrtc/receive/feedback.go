package receive

import (
	"time"

	"github.com/pion/rtcp"
)

const (
	nackEvery    = 40 * time.Millisecond // the same packet; the first time at once
	reportEvery  = time.Second
	arrivalEvery = 50 * time.Millisecond
	// keyAtMost is between two requests for a key frame: one that is on its way
	// needs a round trip and the time of a large picture.
	keyAtMost     = 500 * time.Millisecond
	keyForViewers = time.Second
	// keyAtLeast is how long after a key frame another one is asked for: browsers
	// make none by themselves, and segments begin with one.
	keyAtLeast = 1900 * time.Millisecond
	// away is a pause in the pictures after which one is asked for at once.
	away = time.Second
)

// schedule is when what is due next.
type schedule struct{ report, arrivals time.Time }

// keyRequests decides when a key frame is asked for.
type keyRequests struct {
	wanted bool
	sent   time.Time // the newest request
	last   time.Time // the newest key frame
	seen   time.Time // the newest picture
	asked  uint64
}

// want asks for a key frame at the next occasion.
func (k *keyRequests) want() { k.wanted = true }

// picture notes a picture that came.
func (k *keyRequests) picture(key bool, now time.Time) {
	if !k.seen.IsZero() && now.Sub(k.seen) > away {
		k.wanted = true
	}
	k.seen = now
	if key {
		k.last, k.wanted = now, false
	}
}

// due reports whether to ask now, and notes that it was done.
func (k *keyRequests) due(now time.Time) bool {
	if !k.last.IsZero() && now.Sub(k.last) >= keyAtLeast {
		k.wanted = true
	}
	if !k.wanted || now.Sub(k.sent) < keyAtMost {
		return false
	}
	k.sent = now
	k.asked++
	return true
}

// WantKey asks the publisher for a key frame on behalf of its viewers: they have
// one a second between them, for each costs all of them quality.
func (r *Receiver) WantKey(now time.Time) {
	if now.Sub(r.keys.sent) >= keyForViewers {
		r.keys.want()
	}
}

// Feedback hands over what waited long enough and returns the RTCP that is due,
// each a compound packet; call it every 10 to 20 ms. An error is final, as in
// Media.
func (r *Receiver) Feedback(now time.Time) ([][]rtcp.Packet, error) {
	if err := r.drain(now); err != nil {
		return nil, err
	}
	if err := r.drainSound(now); err != nil {
		return nil, err
	}
	var out [][]rtcp.Packet
	var urgent []rtcp.Packet
	if r.video.known && r.video.waiting() {
		r.nacks = r.video.nacks(r.nacks[:0], nackEvery, now)
		if len(r.nacks) > 0 {
			r.stats.Nacks += uint64(len(r.nacks))
			urgent = append(urgent, &rtcp.TransportLayerNack{SenderSSRC: r.ourSSRC, MediaSSRC: r.video.ssrc,
				Nacks: rtcp.NackPairsFromSequenceNumbers(r.nacks)})
		}
	}
	if r.video.known && r.keys.due(now) {
		urgent = append(urgent, &rtcp.PictureLossIndication{SenderSSRC: r.ourSSRC, MediaSSRC: r.video.ssrc})
	}
	reports := r.reports(now)
	if len(reports) > 0 || len(urgent) > 0 {
		out = append(out, append(reports, urgent...))
	}
	if r.arrivals != nil && now.Sub(r.due.arrivals) >= arrivalEvery {
		r.due.arrivals = now
		for _, p := range r.arrivals.BuildFeedbackPacket() {
			out = append(out, []rtcp.Packet{p})
		}
	}
	return out, nil
}

// reports makes a receiver report and its name when they are due.
func (r *Receiver) reports(now time.Time) []rtcp.Packet {
	if now.Sub(r.due.report) < reportEvery || !r.video.known && !r.audio.known {
		return nil
	}
	r.due.report = now
	rr := &rtcp.ReceiverReport{SSRC: r.ourSSRC}
	for _, m := range []*medium{&r.video, &r.audio} {
		if m.known {
			rr.Reports = append(rr.Reports, m.block(&m.reorder, now))
		}
	}
	return []rtcp.Packet{rr, &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{
		Source: r.ourSSRC, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: "glimpse"}},
	}}}}
}
