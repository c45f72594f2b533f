package receive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/serve"
	"glimpse/internal/media/webrtc/packets"
)

const (
	ms      = time.Millisecond
	videoPT = 102
	rtxPT   = 103
	audioPT = 111
)

var track = &frame.Track{Codec: &codec.H264{
	SPS: []byte{0x67, 0x42, 0xc0, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x24, 0x80},
	PPS: []byte{0x68, 0xcb, 0x83, 0xcb, 0x20},
}}

// out is what came out of a receiver.
type out struct {
	tracks []*frame.Track
	shown  []shown
	voices []shown
}

type shown struct {
	pts    time.Duration
	number uint32
	key    bool
	size   int
}

func (o *out) ExpectAudio() {}
func (o *out) SetTrack(t *frame.Track) error {
	o.tracks = append(o.tracks, t)
	return nil
}

func (o *out) Video(pts, _ time.Duration, key bool, payload []byte) error {
	s := shown{pts: pts, key: key, size: len(payload)}
	for n := range codec.NALUs(payload) {
		if t := n[0] & 0x1f; t == 1 || t == 5 {
			s.number = binary.BigEndian.Uint32(n[1:])
		}
	}
	o.shown = append(o.shown, s)
	return nil
}

func (o *out) Audio(pts time.Duration, payload []byte) error {
	o.voices = append(o.voices, shown{pts: pts, size: len(payload)})
	return nil
}

// sender makes packets of numbered pictures.
type sender struct {
	seq    uint16
	number uint32
}

// frame returns the packets of the next picture, 20 ms after the one before.
func (s *sender) frame(key bool, size int) []*rtp.Packet {
	header := byte(0x41)
	if key {
		header = 0x65
	}
	nal := append([]byte{header, 0, 0, 0, 0}, bytes.Repeat([]byte{7}, size)...)
	binary.BigEndian.PutUint32(nal[1:], s.number)
	f := frame.Frame{Track: track, Key: key, Payload: append(binary.BigEndian.AppendUint32(nil, uint32(len(nal))), nal...)}
	var list []*rtp.Packet
	for _, raw := range packets.Packetise(nil, &f, 1, s.number*1800) {
		p := new(rtp.Packet)
		if err := p.Unmarshal(raw); err != nil {
			panic(err)
		}
		p.PayloadType, p.SequenceNumber = videoPT, s.seq
		s.seq++
		list = append(list, p)
	}
	s.number++
	return list
}

type rig struct {
	*Receiver
	t *testing.T
	out
	sender
	now time.Time
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, now: time.Unix(1000, 0), sender: sender{seq: 65_500}}
	r.Receiver = New(Formats{Video: videoPT, RTX: rtxPT, Audio: audioPT}, &r.out, slog.New(slog.DiscardHandler), 99, r.now)
	return r
}

func (r *rig) give(list ...*rtp.Packet) {
	r.t.Helper()
	for _, p := range list {
		if err := r.Media(&p.Header, p.Payload, r.now); err != nil {
			r.t.Fatal(err)
		}
	}
}

// asked returns what the receiver asks for now.
func (r *rig) asked() (nacks []uint16, keys int) {
	r.t.Helper()
	due, err := r.Feedback(r.now)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, compound := range due {
		for _, p := range compound {
			switch p := p.(type) {
			case *rtcp.TransportLayerNack:
				for _, pair := range p.Nacks {
					nacks = append(nacks, pair.PacketList()...)
				}
			case *rtcp.PictureLossIndication:
				keys++
			}
		}
	}
	return nacks, keys
}

// numbers of the pictures that were shown.
func (r *rig) numbers() (list []uint32) {
	for _, s := range r.shown {
		list = append(list, s.number)
	}
	return list
}

func (r *rig) want(what string, numbers ...uint32) {
	r.t.Helper()
	got := r.numbers()
	if len(got) != len(numbers) {
		r.t.Fatalf("%s: pictures %v, want %v", what, got, numbers)
	}
	for i := range got {
		if got[i] != numbers[i] {
			r.t.Fatalf("%s: pictures %v, want %v", what, got, numbers)
		}
	}
}

// Packets that overtake each other come out in order, over the wrap of the
// sequence numbers too, each once; nothing is asked for twice at once.
func TestReorder(t *testing.T) {
	r := newRig(t)
	r.give(r.frame(true, 30_000)...)
	a, b := r.frame(false, 3000), r.frame(false, 3000)
	r.give(b...)
	r.want("while one is missing", 0)
	if nacks, _ := r.asked(); len(nacks) != len(a) {
		t.Errorf("asked for %v", nacks)
	}
	if nacks, _ := r.asked(); len(nacks) != 0 {
		t.Errorf("asked again at once for %v", nacks)
	}
	r.now = r.now.Add(50 * ms)
	if nacks, _ := r.asked(); len(nacks) != len(a) {
		t.Errorf("asked after 50 ms for %v", nacks)
	}
	r.give(a[1], a[0], a[0], a[2])
	r.give(b...)
	r.want("when it came", 0, 1, 2)
	if s := r.Stats(); s.Lost != 0 || s.Dropped != 0 {
		t.Errorf("%+v", s)
	}
}

// MEDIA T4: a hole is waited for 200 ms; then pictures are dropped up to the next
// key frame, which is asked for.
func TestLossDropsToKeyFrame(t *testing.T) {
	for _, test := range []struct {
		name string
		lose func([]*rtp.Packet) []*rtp.Packet
	}{
		{"the first packet", func(p []*rtp.Packet) []*rtp.Packet { return p[1:] }},
		{"one in the middle", func(p []*rtp.Packet) []*rtp.Packet { return append(p[:1:1], p[2:]...) }},
		{"the last packet", func(p []*rtp.Packet) []*rtp.Packet { return p[:len(p)-1] }},
		{"all of it", func([]*rtp.Packet) []*rtp.Packet { return nil }},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.give(r.frame(true, 5000)...)
			r.give(r.frame(false, 3000)...)
			r.asked() // the first one, at the start
			r.give(test.lose(r.frame(false, 3000))...)
			r.give(r.frame(false, 3000)...)
			r.want("while it may come", 0, 1)
			r.now = r.now.Add(199 * ms)
			if _, keys := r.asked(); keys != 0 {
				t.Error("a key frame was asked for while packets may come")
			}
			r.now = r.now.Add(ms)
			r.asked()
			r.now = r.now.Add(keyAtMost)
			r.give(r.frame(false, 3000)...)
			r.want("before a key frame", 0, 1)
			if _, keys := r.asked(); keys != 1 {
				t.Errorf("%d key frames asked for", keys)
			}
			r.give(r.frame(false, 3000)...)
			if _, keys := r.asked(); keys != 0 {
				t.Error("asked again at once")
			}
			r.give(r.frame(true, 5000)...)
			r.give(r.frame(false, 3000)...)
			r.want("after it", 0, 1, 6, 7)
			if s := r.Stats(); s.Lost == 0 || s.Dropped < 3 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// RFC 4588: a retransmission fills the hole that it is for.
func TestRetransmission(t *testing.T) {
	r := newRig(t)
	r.give(r.frame(true, 5000)...)
	lost, next := r.frame(false, 500), r.frame(false, 500)
	r.give(next...)
	again := &rtp.Packet{Header: lost[0].Header, Payload: append(binary.BigEndian.AppendUint16(nil, lost[0].SequenceNumber), lost[0].Payload...)}
	again.PayloadType, again.SSRC, again.SequenceNumber = rtxPT, 2, 7
	r.give(again)
	r.give(&rtp.Packet{Header: rtp.Header{PayloadType: rtxPT, SSRC: 2, SequenceNumber: 8}}) // a probe
	r.want("with the retransmission", 0, 1, 2)
	if s := r.Stats(); s.Recovered != 1 {
		t.Errorf("%+v", s)
	}
}

// B-frames end the publisher, with a sentence.
func TestBFrames(t *testing.T) {
	r := newRig(t)
	r.give(r.frame(true, 500)...)
	r.number += 3
	r.give(r.frame(false, 500)...)
	r.number -= 3
	p := r.frame(false, 500)[0]
	if err := r.Media(&p.Header, p.Payload, r.now); !errors.Is(err, ErrReordered) {
		t.Errorf("%v", err)
	}
}

// FAULTS F7: a key frame of 4 MB passes, and one with a hole in it is waited for; one
// that no way out carries ends the publisher, with a sentence.
func TestHugeKeyFrame(t *testing.T) {
	r := newRig(t)
	list := r.frame(true, 4_000_000)
	r.give(list[:1000]...)
	r.give(list[1001:3000]...) // one is lost
	r.give(list[1000])         // and comes again
	r.give(list[3000:]...)
	r.give(r.frame(false, 500)...)
	r.want("a key frame of 4 MB", 0, 1)
	if s := r.Stats(); s.Lost != 0 || s.Dropped != 0 || r.shown[0].size < 4_000_000 {
		t.Errorf("%+v, %d bytes", s, r.shown[0].size)
	}
	var err error
	for _, p := range r.frame(true, frame.MaxPicture) {
		if err = r.Media(&p.Header, p.Payload, r.now); err != nil {
			break
		}
	}
	if !errors.Is(err, serve.ErrTooLarge) {
		t.Errorf("a picture that is too large: %v", err)
	}
}

// On a busy machine the first packets are in the socket before there is a receiver:
// their times are before its first moment.
func TestPacketsBeforeTheReceiver(t *testing.T) {
	r := newRig(t)
	r.now = r.now.Add(-70 * time.Millisecond)
	r.give(r.frame(true, 500)...)
	r.give(r.frame(false, 500)...)
	r.want("both", 0, 1)
	if at := r.shown[0].pts; at != -70*time.Millisecond {
		t.Errorf("the first picture is at %v", at)
	}
}

// Resolution changes by themselves: new parameters, the same timeline.
func TestNewParameters(t *testing.T) {
	r := newRig(t)
	r.give(r.frame(true, 500)...)
	r.give(r.frame(false, 500)...)
	before := track
	defer func() { track = before }()
	track = &frame.Track{Codec: &codec.H264{SPS: before.Codec.(*codec.H264).SPS, PPS: []byte{0x68, 0xce, 0x3c, 0x80}}}
	r.give(r.frame(true, 500)...)
	if len(r.tracks) != 2 || len(r.shown) != 3 || r.shown[2].pts != 40*ms {
		t.Errorf("%d tracks, pictures %v", len(r.tracks), r.shown)
	}
}

// A key frame is asked for at the start, two seconds after the last, and at once
// after a pause.
func TestKeyFramesAreAskedFor(t *testing.T) {
	r := newRig(t)
	if _, keys := r.asked(); keys != 0 {
		t.Error("asked before anything came: nobody knows whom")
	}
	r.give(r.frame(false, 500)...)
	if _, keys := r.asked(); keys != 1 {
		t.Error("not asked at the start")
	}
	r.give(r.frame(true, 500)...)
	total := 0
	for range 100 { // 4 s
		r.now = r.now.Add(40 * ms)
		r.give(r.frame(total > 0 && r.keys.wanted, 500)...)
		_, keys := r.asked()
		total += keys
	}
	if total < 2 || total > 8 {
		t.Errorf("asked %d times in 4 s without key frames", total)
	}
	r.give(r.frame(true, 500)...)
	r.now = r.now.Add(1100 * ms)
	r.give(r.frame(false, 500)...)
	if _, keys := r.asked(); keys != 1 {
		t.Error("not asked after a pause")
	}
	r.give(r.frame(true, 500)...)
	r.WantKey(r.now.Add(300 * ms))
	if r.keys.wanted {
		t.Error("viewers may ask more than once a second")
	}
}

func opusPacket(seq uint16, toc byte) *rtp.Packet {
	return &rtp.Packet{
		Header:  rtp.Header{PayloadType: audioPT, SSRC: 5, SequenceNumber: seq, Timestamp: uint32(seq) * 960},
		Payload: []byte{toc, 1, 2},
	}
}

// Sound waits for packets that were overtaken; short losses are concealed, long
// ones are holes. A second channel makes another track.
func TestSound(t *testing.T) {
	r := newRig(t)
	for _, seq := range []uint16{1, 3, 2} {
		r.give(opusPacket(seq, 0x78))
	}
	if len(r.voices) != 3 || len(r.tracks) != 1 || r.tracks[0].Codec.(*codec.Opus).Channels != 1 {
		t.Fatalf("%v, %d tracks", r.voices, len(r.tracks))
	}
	r.give(opusPacket(6, 0x78)) // 4 and 5 are lost
	r.now = r.now.Add(soundPatience)
	r.asked()
	if len(r.voices) != 6 || r.voices[3].size != 1 || r.voices[4].size != 1 || r.voices[5].size != 3 {
		t.Fatalf("after a short loss: %v", r.voices)
	}
	for i := 1; i < len(r.voices); i++ {
		if d := r.voices[i].pts - r.voices[i-1].pts; d != 20*ms {
			t.Errorf("packet %d is %v after the one before", i, d)
		}
	}
	r.give(opusPacket(30, 0x7c)) // a long loss, and stereo
	r.now = r.now.Add(soundPatience)
	r.asked()
	if len(r.voices) != 7 || len(r.tracks) != 2 || r.tracks[1].Codec.(*codec.Opus).Channels != 2 {
		t.Errorf("after a long loss: %d packets, %d tracks", len(r.voices), len(r.tracks))
	}
}

// MEDIA T4: arrival aligns sound and pictures until both sender reports came,
// then the sound moves by at most 2 ms a frame to where they say.
func TestSync(t *testing.T) {
	r := newRig(t)
	r.give(r.frame(true, 500)...)
	r.now = r.now.Add(100 * ms) // the sound was on its way for longer
	r.give(opusPacket(1, 0x78))
	if got := r.voices[0].pts; got != 100*ms {
		t.Fatalf("the first sound is at %v", got)
	}
	ntp := uint64(3_900_000_000) << 32
	report := func(ssrc, ts uint32) {
		raw, err := (&rtcp.SenderReport{SSRC: ssrc, NTPTime: ntp, RTPTime: ts}).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		r.Control(raw, r.now)
	}
	report(1, 0)
	r.give(opusPacket(2, 0x78))
	if got := r.voices[1].pts; got != 120*ms {
		t.Errorf("one report moved the sound to %v", got)
	}
	report(5, 960+480) // 10 ms after the first packet was the time of the first picture
	last := r.voices[1].pts
	for seq := uint16(3); seq < 103; seq++ {
		r.give(opusPacket(seq, 0x78))
		at := r.voices[len(r.voices)-1].pts
		if d := at - last; d < 18*ms || d > 22*ms {
			t.Fatalf("packet %d moved by %v", seq, d-20*ms)
		}
		last = at
	}
	if want := time.Duration(101)*20*ms - 10*ms; last != want {
		t.Errorf("the sound is at %v, want %v", last, want)
	}
}

// A sender that begins anew, with another SSRC or sequence, is followed; but not
// for ever.
func TestSourcesChange(t *testing.T) {
	r := newRig(t)
	r.give(r.frame(true, 500)...)
	r.seq += 20_000
	r.give(r.frame(false, 500)...)
	r.want("after a jump", 0)
	r.give(r.frame(true, 500)...)
	r.want("after the jump's key frame", 0, 2)
	var err error
	for ssrc := uint32(10); err == nil && ssrc < 100; ssrc++ {
		for _, p := range r.frame(true, 500) {
			p.SSRC = ssrc
			err = r.Media(&p.Header, p.Payload, r.now)
		}
	}
	if !errors.Is(err, ErrSources) || len(r.shown) != maxSources+1 {
		t.Errorf("%v after %d pictures", err, len(r.shown))
	}
}

// RFC 3550 §6.4.1: the report says what was lost and when the sender's came.
func TestReceiverReport(t *testing.T) {
	r := newRig(t)
	list := r.frame(true, 100_000)
	for i, p := range list {
		if i%4 != 1 {
			r.give(p)
		}
	}
	raw, err := (&rtcp.SenderReport{SSRC: 1, NTPTime: 0x1234_5678_9abc_def0}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	r.Control(raw, r.now)
	r.now = r.now.Add(reportEvery)
	due, err := r.Feedback(r.now)
	if err != nil {
		t.Fatal(err)
	}
	rr, ok := due[0][0].(*rtcp.ReceiverReport)
	if !ok || len(rr.Reports) != 1 {
		t.Fatalf("%v", due)
	}
	b := rr.Reports[0]
	if lost := uint32((len(list) + 2) / 4); b.TotalLost != lost || b.FractionLost < 60 || b.FractionLost > 66 {
		t.Errorf("%+v of %d packets", b, len(list))
	}
	if b.LastSenderReport != 0x5678_9abc || b.Delay != 65536 || uint16(b.LastSequenceNumber) != list[len(list)-1].SequenceNumber {
		t.Errorf("%+v", b)
	}
}

// Whatever is lost, repeated and late, what comes out is in order and whole.
func TestRandomLoss(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	r := newRig(t)
	type late struct {
		at time.Time
		p  *rtp.Packet
	}
	var queue []late
	key := true
	for range 2000 {
		for _, p := range r.frame(key, 200+random.IntN(6000)) {
			if random.IntN(100) < 4 {
				if random.IntN(4) > 0 { // again, later
					queue = append(queue, late{r.now.Add(time.Duration(random.IntN(250)) * ms), p})
				}
				continue
			}
			r.give(p)
		}
		r.now = r.now.Add(20 * ms)
		kept := queue[:0]
		for _, l := range queue {
			if l.at.Before(r.now) {
				r.give(l.p)
			} else {
				kept = append(kept, l)
			}
		}
		queue = kept
		_, keys := r.asked()
		key = keys > 0
	}
	for i, s := range r.shown {
		if i > 0 && (s.pts <= r.shown[i-1].pts || !s.key && s.number != r.shown[i-1].number+1) {
			t.Fatalf("picture %+v after %+v", s, r.shown[i-1])
		}
	}
	if len(r.shown) < 500 || r.Stats().Dropped == 0 {
		t.Errorf("%d pictures, %+v", len(r.shown), r.Stats())
	}
}

// FuzzMedia: no packets panic or make memory grow, whatever they say.
func FuzzMedia(f *testing.F) {
	var s sender
	var seed []byte
	for _, p := range append(s.frame(true, 3000), s.frame(false, 100)...) {
		raw, err := p.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		seed = append(binary.BigEndian.AppendUint16(seed, uint16(len(raw))), raw...)
	}
	f.Add(seed)
	f.Add([]byte{0, 14, 0x80, rtxPT, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		now := time.Unix(1000, 0)
		r := New(Formats{Video: videoPT, RTX: rtxPT, Audio: audioPT, Sequence: 3}, &out{}, slog.New(slog.DiscardHandler), 9, now)
		for len(b) > 2 {
			n := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
			raw := b[2 : 2+n]
			b = b[2+n:]
			now = now.Add(time.Duration(n) * ms)
			var p rtp.Packet
			if p.Unmarshal(raw) == nil {
				if r.Media(&p.Header, p.Payload, now) != nil {
					return
				}
			} else {
				r.Control(raw, now)
			}
			due, err := r.Feedback(now)
			if err != nil {
				return
			}
			for _, compound := range due {
				if _, err := rtcp.Marshal(compound); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
