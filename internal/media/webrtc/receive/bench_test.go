package receive

import (
	"log/slog"
	"testing"
	"time"
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
