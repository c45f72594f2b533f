package receive

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/serve"
	"glimpse/internal/media/webrtc/packets"
)

const (
	// Patience is how long a packet that is missing is waited for (MEDIA T4);
	// sound, which is not asked for, only for those that overtook each other.
	Patience      = 200 * time.Millisecond
	soundPatience = 60 * time.Millisecond
	// maxConceal packets of sound that are lost are replaced by as many that tell
	// the decoder to conceal them; longer holes are holes.
	maxConceal = 5
	// maxSources of one publisher: each has memory in the SRTP context.
	maxSources = 16
)

// The errors that end a publisher. Their texts may be shown to anyone.
var (
	ErrReordered = errors.New("the encoder sends B-frames, which WebRTC cannot carry: switch them off")
	ErrSources   = errors.New("too many sources (SSRC) in one session")
)

// Formats are the payload types that were agreed on; 0 for none.
type Formats struct {
	Video, RTX, Audio uint8
	// Sequence is the id of the header extension with transport-wide sequence
	// numbers; 0 for none.
	Sequence uint8
}

// Stats are counts since the start.
type Stats struct {
	Packets   uint64 // that came, retransmissions included
	Recovered uint64 // retransmissions that filled a hole
	Lost      uint64 // packets that never came
	Dropped   uint64 // pictures dropped because of that
	Nacks     uint64 // packets asked for
	KeyAsked  uint64 // key frames asked for
}

// medium is one of the two media of a publisher.
type medium struct {
	ssrc  uint32
	known bool
	reorder
	reception
	clock clock
}

// Receiver is one publisher's receiving side. Make it with New.
type Receiver struct {
	formats  Formats
	intake   serve.Intake
	start    time.Time
	video    medium
	audio    medium
	sources  map[uint32]struct{}
	pictures pictures
	arrivals *twcc.Recorder // nil without transport-wide sequence numbers
	channels int            // of the sound's track; 0 before there is one
	newest   byte           // first byte of the newest sound packet
	heard    uint64         // and its sequence number
	keys     keyRequests
	due      schedule
	stats    Stats
	ourSSRC  uint32
	nacks    []uint16
}

// New returns a receiver that writes into sink. now is its first moment; packets may
// have come to the socket before.
func New(f Formats, sink serve.Sink, log *slog.Logger, ourSSRC uint32, now time.Time) *Receiver {
	r := &Receiver{
		formats: f, intake: serve.Intake{Out: sink, Log: log}, start: now, ourSSRC: ourSSRC,
		sources: map[uint32]struct{}{},
	}
	r.video.patience, r.audio.patience = Patience, soundPatience
	r.video.clock.rate, r.audio.clock.rate = packets.VideoClock, packets.AudioClock
	if f.Sequence != 0 {
		r.arrivals = twcc.NewRecorder(ourSSRC)
	}
	r.keys.want()
	return r
}

// Stats returns the counts.
func (r *Receiver) Stats() Stats {
	s := r.stats
	s.Lost = r.video.lost + r.audio.lost
	s.KeyAsked = r.keys.asked
	return s
}

// Media takes one RTP packet, opened and parsed; payload is used until it
// returns. An error is the sink's, serve.ErrTooLarge or one of this package's, and is final.
func (r *Receiver) Media(h *rtp.Header, payload []byte, now time.Time) error {
	r.stats.Packets++
	if _, known := r.sources[h.SSRC]; !known {
		if len(r.sources) >= maxSources {
			return ErrSources
		}
		r.sources[h.SSRC] = struct{}{}
	}
	if r.arrivals != nil {
		if ext := h.GetExtension(r.formats.Sequence); len(ext) >= 2 {
			r.arrivals.Record(h.SSRC, binary.BigEndian.Uint16(ext), now.Sub(r.start).Microseconds())
		}
	}
	switch h.PayloadType {
	case 0:
	case r.formats.Video:
		r.video.source(h.SSRC)
		r.video.arrived(h.Timestamp, r.video.clock.rate, now.Sub(r.start))
		r.video.take(h.SequenceNumber, packet{ts: h.Timestamp, marker: h.Marker, payload: payload}, now)
		return r.drain(now)
	case r.formats.RTX: // RFC 4588 §4: the original sequence number comes first
		if len(payload) < 2 || !r.video.known {
			return nil // padding alone: a probe
		}
		if r.video.take(binary.BigEndian.Uint16(payload), packet{ts: h.Timestamp, marker: h.Marker, payload: payload[2:]}, now) {
			r.stats.Recovered++
		}
		return r.drain(now)
	case r.formats.Audio:
		r.audio.source(h.SSRC)
		r.audio.arrived(h.Timestamp, r.audio.clock.rate, now.Sub(r.start))
		r.audio.take(h.SequenceNumber, packet{ts: h.Timestamp, marker: h.Marker, payload: payload}, now)
		return r.drainSound(now)
	}
	return nil
}

// source notes whose packets the medium's are. Another one's begin anew.
func (m *medium) source(ssrc uint32) {
	if m.known && m.ssrc == ssrc {
		return
	}
	if m.known {
		m.reorder = reorder{patience: m.patience, lost: m.lost, skipped: true}
		m.clock = clock{rate: m.clock.rate}
	}
	m.ssrc, m.known = ssrc, true
	m.reception = reception{ssrc: ssrc}
}

// take puts a packet into its order and reports whether it was new.
func (m *medium) take(seq uint16, p packet, now time.Time) bool {
	begins := !m.reorder.started
	fresh := m.push(seq, p, now)
	if begins {
		m.first = m.next
	}
	return fresh
}

// Control takes one compound RTCP packet, opened. Unknown packets are skipped.
func (r *Receiver) Control(raw []byte, now time.Time) {
	list, err := rtcp.Unmarshal(raw)
	if err != nil {
		return
	}
	for _, p := range list {
		sr, ok := p.(*rtcp.SenderReport)
		if !ok {
			continue
		}
		for _, m := range []*medium{&r.video, &r.audio} {
			if m.known && m.ssrc == sr.SSRC {
				m.senderNTP, m.senderAt = uint32(sr.NTPTime>>16), now
				m.clock.report(sr.NTPTime, sr.RTPTime)
			}
		}
	}
}

// drain makes pictures of the packets that are in order.
func (r *Receiver) drain(now time.Time) error {
	for {
		p, gap, ok := r.video.pop(now)
		if !ok {
			return nil
		}
		if err := r.picture(p, gap, now); err != nil {
			return err
		}
	}
}

// picture adds a packet to the picture that is being put together, and hands over
// what is complete.
func (r *Receiver) picture(p packet, gap bool, now time.Time) error {
	if gap {
		r.pictures.lose()
	}
	at := r.video.clock.advance(p.ts, now.Sub(r.start)) + r.video.clock.offset
	for _, done := range r.pictures.add(p, at) {
		if done.huge {
			return serve.ErrTooLarge
		}
		key := !done.broken && codec.HasIDR(done.payload)
		r.keys.picture(key, now)
		if done.broken || r.pictures.needKey && !key {
			r.stats.Dropped++
			r.intake.Skip()
			r.keys.want()
			continue
		}
		if back := r.pictures.shown - done.at; r.pictures.showing && back > 0 && back < time.Second && !r.pictures.needKey {
			return ErrReordered
		}
		r.pictures.shown, r.pictures.showing, r.pictures.needKey = done.at, true, false
		if err := r.intake.Picture(done.at, done.at, done.payload); err != nil {
			return err
		}
	}
	return nil
}

// drainSound hands over the sound packets that are in order.
func (r *Receiver) drainSound(now time.Time) error {
	for {
		p, gap, ok := r.audio.pop(now)
		if !ok {
			return nil
		}
		if len(p.payload) == 0 {
			continue
		}
		if err := r.sound(p, gap, now); err != nil {
			return err
		}
	}
}

func (r *Receiver) sound(p packet, gap bool, now time.Time) error {
	// The second channel shows in the packets only (RFC 6716 §3.1).
	if c := 1 + int(p.payload[0]>>2&1); c > r.channels {
		r.channels = c
		track := &frame.Track{Codec: &codec.Opus{Channels: c}}
		r.intake.Log.Info("audio parameters", "codec", track.Codec.MIME(), "channels", c)
		if err := r.intake.Out.SetTrack(track); err != nil {
			return err
		}
	}
	at := r.audio.clock.advance(p.ts, now.Sub(r.start))
	align(&r.audio.clock, &r.video.clock)
	at += r.audio.clock.offset
	if missing := p.seq - r.heard - 1; gap && r.heard != 0 && missing <= maxConceal {
		// A packet of the first byte alone makes decoders conceal the loss.
		one := []byte{r.newest &^ 3}
		length := time.Duration(codec.OpusSamples(one)) * time.Second / packets.AudioClock
		for n := missing; n > 0; n-- {
			if err := r.intake.Out.Audio(at-time.Duration(n)*length, one); err != nil {
				return err
			}
		}
	}
	r.heard, r.newest = p.seq, p.payload[0]
	return r.intake.Out.Audio(at, slices.Clone(p.payload))
}
