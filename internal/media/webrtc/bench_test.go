package webrtc

import (
	"testing"
	"time"

	"github.com/pion/srtp/v3"

	"glimpse/internal/media/webrtc/packets"
)

// BenchmarkPump is the hot path: one viewer's share of one picture of 720p at
// 2.5 Mb/s (9 packets), sealed and sent over loopback to a socket that nobody
// reads. Per packet it must not allocate.
func BenchmarkPump(b *testing.B) {
	v := newBareViewer(b, payloadTypes{video: 108}, srtp.ProtectionProfileAeadAes128Gcm)
	now := time.Now()
	fill(v.feed.video, 60, 300, 10_400)
	v.join(now)
	v.pumpAll(&now)
	v.report = now.Add(1000 * time.Hour)
	first, end, _ := v.feed.video.Picture(50)
	before := v.stats.packets.Load()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N { // the same picture, under new numbers
		now = now.Add(time.Second / 30)
		v.video.Next, v.video.Stop, v.video.Waiting = first, end, false
		v.pump(v.scratch, now)
	}
	b.StopTimer()
	sent := v.stats.packets.Load() - before
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(sent), "ns/packet")
	b.ReportMetric(float64(sent)/float64(b.N), "packets/op")
}

// BenchmarkPacketise is what a picture costs a stream, whatever the number of
// viewers.
func BenchmarkPacketise(b *testing.B) {
	h := packets.NewPictures(1)
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
	v.report = now.Add(1000 * time.Hour)
	first, end, _ := v.feed.video.Picture(50)
	if n := testing.AllocsPerRun(100, func() {
		now = now.Add(time.Second / 30)
		v.video.Next, v.video.Stop, v.video.Waiting = first, end, false
		v.pump(v.scratch, now)
	}); n > 0 {
		t.Errorf("%v allocations for a picture", n)
	}
	if n := v.stats.packets.Load(); n < 100*9 {
		t.Errorf("%d packets were sent", n)
	}
}
