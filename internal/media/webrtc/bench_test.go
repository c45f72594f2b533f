package webrtc

import (
	"fmt"
	"testing"
	"time"

	"github.com/pion/srtp/v3"
)

// BenchmarkPump is the hot path: one viewer's share of one picture of 720p at
// 2.5 Mb/s (9 packets), sealed and sent over loopback to a socket that nobody
// reads. Per packet it must not allocate.
func BenchmarkPump(b *testing.B) {
	for _, offload := range []bool{true, false} {
		b.Run(fmt.Sprintf("offload=%v", offload), func(b *testing.B) {
			v := newBareViewer(b, payloadTypes{video: 108}, srtp.ProtectionProfileAeadAes128Gcm)
			disable(&v.to, !offload)
			now := time.Now()
			fill(v.feed.video, 60, 300, 10_400)
			v.join(now)
			v.pumpAll(&now)
			v.report = now.Add(time.Hour)
			h := v.feed.video
			before := v.stats.packets.Load()
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				v.video.next = h.at(50).first // the same picture, under new numbers
				v.video.stop = h.at(50).end
				v.video.waiting = false
				v.pump(v.scratch, now)
			}
			b.StopTimer()
			packets := v.stats.packets.Load() - before
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(packets), "ns/packet")
			b.ReportMetric(float64(packets)/float64(b.N), "packets/op")
		})
	}
}

// BenchmarkPacketise is what a picture costs a stream, whatever the number of
// viewers.
func BenchmarkPacketise(b *testing.B) {
	h := newHistory(1, videoPackets, videoNumbers)
	b.ReportAllocs()
	for range b.N {
		fill(h, 1, 60, 10_400)
	}
}

// The hot path does not allocate.
func TestPumpDoesNotAllocate(t *testing.T) {
	v := newBareViewer(t, payloadTypes{video: 108}, srtp.ProtectionProfileAeadAes128Gcm)
	now := time.Now()
	fill(v.feed.video, 60, 300, 10_400)
	v.join(now)
	v.pumpAll(&now)
	v.report = now.Add(time.Hour)
	h := v.feed.video
	if n := testing.AllocsPerRun(100, func() {
		v.video.next, v.video.stop, v.video.waiting = h.at(50).first, h.at(50).end, false
		v.pump(v.scratch, now)
	}); n > 0 {
		t.Errorf("%v allocations for a picture", n)
	}
	if n := v.stats.packets.Load(); n < 100*9 {
		t.Errorf("%d packets were sent", n)
	}
}
