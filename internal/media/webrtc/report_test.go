package webrtc

import (
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/srtp/v3"

	"glimpse/internal/media/webrtc/packets"
)

// MEDIA W5: one compound of sender reports for both media, from one clock: the
// first with the first packet, then each second, never with the timestamps of
// catching up.
func TestSenderReports(t *testing.T) {
	b := newBareViewer(t, payloadTypes{video: 108, audio: 111}, srtp.ProtectionProfileAeadAes128Gcm)
	start := time.Now()
	b.feed.origin.Store(start.Add(-5 * time.Second).UnixNano()) // 5 s into the timeline
	now := start
	fill(b.feed.video, 40, 30, 3000)
	b.join(now)
	b.pump(b.scratch, now)
	read := func() []rtcp.Packet {
		t.Helper()
		buf := make([]byte, 1600)
		for {
			_ = b.peer.SetReadDeadline(time.Now().Add(5 * time.Second))
			n, err := b.peer.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			if buf[1] < 192 || buf[1] > 223 {
				continue
			}
			plain, err := b.theirs.DecryptRTCP(nil, buf[:n], nil)
			if err != nil {
				t.Fatal(err)
			}
			list, err := rtcp.Unmarshal(plain)
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
	}
	check := func(at time.Duration) {
		t.Helper()
		list := read()
		if len(list) != 3 {
			t.Fatalf("%d packets in the compound", len(list))
		}
		video, ok := list[0].(*rtcp.SenderReport)
		audio, ok2 := list[1].(*rtcp.SenderReport)
		if _, names := list[2].(*rtcp.SourceDescription); !ok || !ok2 || !names {
			t.Fatalf("%v", list)
		}
		if video.SSRC != b.feed.video.SSRC() || audio.SSRC != b.feed.audio.SSRC() || video.NTPTime != audio.NTPTime {
			t.Errorf("%v, %v", video, audio)
		}
		if got, want := video.RTPTime-b.feed.videoBase, packets.Ticks(at, packets.VideoClock); got != want {
			t.Errorf("video at %d, want %d", got, want)
		}
		if got, want := audio.RTPTime-b.feed.audioBase, packets.Ticks(at, packets.AudioClock); got != want {
			t.Errorf("audio at %d, want %d", got, want)
		}
	}
	check(5 * time.Second)
	b.pump(b.scratch, now.Add(999*time.Millisecond))
	b.pump(b.scratch, now.Add(time.Second))
	check(6 * time.Second)
	if got := ntp(time.Unix(0, 500_000_000)); got != 2_208_988_800<<32|1<<31 {
		t.Errorf("ntp %x", got)
	}
}

func TestParseFeedback(t *testing.T) {
	marshal := func(p ...rtcp.Packet) []byte {
		b, err := rtcp.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	nack := func(ssrc uint32, seqs ...uint16) rtcp.Packet {
		return &rtcp.TransportLayerNack{MediaSSRC: ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(seqs)}
	}
	many := make([]uint16, hugeNack+1)
	for i := range many {
		many[i] = uint16(i)
	}
	for _, test := range []struct {
		name    string
		bytes   []byte
		missing int
		huge    bool
		key     bool
		err     bool
	}{
		{"receiver report", marshal(&rtcp.ReceiverReport{}), 0, false, false, false},
		{"nack", marshal(&rtcp.ReceiverReport{}, nack(5, 1, 2, 30)), 3, false, false, false},
		{"nack for sound", marshal(nack(6, 1, 2)), 0, false, false, false},
		{"as many as we answer", marshal(nack(5, many[1:]...)), hugeNack, false, false, false},
		{"one more", marshal(nack(5, many...)), hugeNack, true, false, false},
		{"pli", marshal(&rtcp.PictureLossIndication{MediaSSRC: 5}), 0, false, true, false},
		{"pli for another", marshal(&rtcp.PictureLossIndication{MediaSSRC: 6}), 0, false, false, false},
		{"fir", marshal(&rtcp.FullIntraRequest{FIR: []rtcp.FIREntry{{SSRC: 5}}}), 0, false, true, false},
		{"remb", marshal(&rtcp.ReceiverEstimatedMaximumBitrate{Bitrate: 1e6, SSRCs: []uint32{5}}), 0, false, false, false},
		{"cut short", marshal(nack(5, 1))[:10], 0, false, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := parseFeedback(test.bytes, 5)
			if (err != nil) != test.err || len(f.missing) != test.missing || f.huge != test.huge || f.key != test.key {
				t.Errorf("%d missing, huge %v, key %v, error %v", len(f.missing), f.huge, f.key, err)
			}
		})
	}
}

// FuzzFeedback: no RTCP panics or asks for more than the bound.
func FuzzFeedback(f *testing.F) {
	for _, p := range []rtcp.Packet{
		&rtcp.ReceiverReport{}, &rtcp.TransportLayerNack{MediaSSRC: 5, Nacks: []rtcp.NackPair{{PacketID: 9, LostPackets: 0xffff}}},
		&rtcp.PictureLossIndication{MediaSSRC: 5}, &rtcp.ReceiverEstimatedMaximumBitrate{Bitrate: 1e6},
	} {
		b, err := p.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, _ := parseFeedback(b, 5)
		if len(got.missing) > hugeNack {
			t.Fatalf("%d sequence numbers", len(got.missing))
		}
	})
}
