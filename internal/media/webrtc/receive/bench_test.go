package receive

import (
	"log/slog"
	"testing"
	"time"

	"github.com/pion/rtp"
)

// discard is a sink that keeps nothing.
type discard struct{ out }

func (*discard) Video(_, _ time.Duration, _ bool, _ []byte) error { return nil }
func (*discard) Audio(time.Duration, []byte) error                { return nil }

// BenchmarkReceive is one second of a publisher: 30 pictures at 2.5 Mb/s, 30 packets
// of sound, what it is told meanwhile; packets are open already.
func BenchmarkReceive(b *testing.B) {
	r := New(Formats{Video: videoPT, RTX: rtxPT, Audio: audioPT}, &discard{}, slog.New(slog.DiscardHandler), 9, time.Unix(1000, 0))
	var s sender
	now, sound := time.Unix(1000, 0), uint16(0)
	b.ReportAllocs()
	for range b.N {
		for n := range 60 {
			now = now.Add(time.Second / 60)
			if n%2 == 0 {
				for _, p := range s.frame(n == 0, 10_400) {
					if err := r.Media(&p.Header, p.Payload, now); err != nil {
						b.Fatal(err)
					}
				}
			} else {
				sound++
				p := opusPacket(sound, 0x78)
				if err := r.Media(&p.Header, p.Payload, now); err != nil {
					b.Fatal(err)
				}
			}
			if _, err := r.Feedback(now); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// A picture is allocated once, as a whole, and a packet of sound once: what is in order
// is not copied on its way.
func TestReceivingAllocates(t *testing.T) {
	r := New(Formats{Video: videoPT, RTX: rtxPT, Audio: audioPT}, &discard{}, slog.New(slog.DiscardHandler), 9, time.Unix(1000, 0))
	var s sender
	now, sound := time.Unix(1000, 0), uint16(0)
	send := func(key bool) (*rtp.Packet, []*rtp.Packet) {
		sound++
		return opusPacket(sound, 0x78), s.frame(key, 10_400)
	}
	take := func(opus *rtp.Packet, picture []*rtp.Packet) {
		now = now.Add(time.Second / 30)
		for _, p := range append(picture, opus) {
			if err := r.Media(&p.Header, p.Payload, now); err != nil {
				t.Fatal(err)
			}
		}
	}
	take(send(true))
	const n = 20 // in less than the time in which a report is due
	type turn struct {
		opus    *rtp.Packet
		picture []*rtp.Packet
	}
	var turns []turn
	for range n + 1 {
		opus, picture := send(false)
		turns = append(turns, turn{opus, append(make([]*rtp.Packet, 0, len(picture)+1), picture...)})
	}
	i := 0
	if got := testing.AllocsPerRun(n, func() {
		take(turns[i].opus, turns[i].picture)
		i++
	}); got > 2 {
		t.Errorf("%v allocations for a picture and a packet of sound", got)
	}
}
