package packets

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"go.uber.org/goleak"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testTrack = &frame.Track{Codec: &codec.H264{SPS: []byte{0x67, 66, 0xc0, 31, 1, 2}, PPS: []byte{0x68, 3, 4}}}

// nalu is a NAL unit of a type and size with recognisable content.
func nalu(header byte, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*7 + size)
	}
	b[0] = header
	return b
}

// avcc joins NAL units into a frame's payload.
func avcc(units ...[]byte) []byte {
	var b []byte
	for _, n := range units {
		b = binary.BigEndian.AppendUint32(b, uint32(len(n)))
		b = append(b, n...)
	}
	return b
}

func picturePayload(key bool, size int) []byte {
	if key {
		return avcc(nalu(0x65, size))
	}
	return avcc(nalu(0x41, size))
}

// depacketise puts RTP packets of one picture together again with an
// independent implementation.
func depacketise(t *testing.T, packets [][]byte) []byte {
	t.Helper()
	d := codecs.H264Packet{IsAVC: true}
	var out []byte
	for i, raw := range packets {
		var p rtp.Packet
		if err := p.Unmarshal(raw); err != nil {
			t.Fatal(err)
		}
		if p.Marker != (i == len(packets)-1) {
			t.Errorf("packet %d of %d: marker %v", i, len(packets), p.Marker)
		}
		if p.SSRC != 7 || p.Timestamp != 99 || p.SequenceNumber != 0 || p.PayloadType != 0 {
			t.Errorf("packet %d: header %+v", i, p.Header)
		}
		b, err := d.Unmarshal(p.Payload)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b...)
	}
	return out
}

func TestPacketise(t *testing.T) {
	sps, pps := testTrack.Codec.(*codec.H264).SPS, testTrack.Codec.(*codec.H264).PPS
	sei, aud, fill := nalu(0x06, 40), nalu(0x09, 2), nalu(0x0c, 300)
	small, large, huge := nalu(0x41, 500), nalu(0x41, maxPayload*8+77), nalu(0x65, 70_000)
	inBand := nalu(0x67, 30)
	for _, test := range []struct {
		name  string
		key   bool
		units [][]byte
		want  [][]byte
		count int
	}{
		{"one small slice", false, [][]byte{aud, sei, small}, [][]byte{small}, 1},
		{"fragments", false, [][]byte{large, fill}, [][]byte{large}, 9},
		{"exactly one packet", false, [][]byte{nalu(0x41, maxPayload)}, [][]byte{nalu(0x41, maxPayload)}, 1},
		{"one byte more", false, [][]byte{nalu(0x41, maxPayload+1)}, [][]byte{nalu(0x41, maxPayload+1)}, 2},
		{"key picture has the track's sets", true, [][]byte{sei, huge}, [][]byte{sps, pps, huge}, 61},
		{"sets in-band", true, [][]byte{inBand, pps, huge}, [][]byte{inBand, pps, huge}, 61},
		{"a set alone", false, [][]byte{pps, small}, [][]byte{pps, small}, 2},
		{"sets too long for one packet", true, [][]byte{nalu(0x67, 1000), nalu(0x68, 1000), small},
			[][]byte{nalu(0x67, 1000), nalu(0x68, 1000), small}, 3},
		{"slices", false, [][]byte{small, large, small}, [][]byte{small, large, small}, 11},
		{"no picture", true, [][]byte{sei, aud}, nil, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &frame.Frame{Track: testTrack, Key: test.key, Payload: avcc(test.units...)}
			before := bytes.Clone(f.Payload)
			packets := Packetise(nil, f, 7, 99)
			if len(packets) != test.count {
				t.Errorf("%d packets, want %d", len(packets), test.count)
			}
			if got, want := depacketise(t, packets), avcc(test.want...); !bytes.Equal(got, want) {
				t.Errorf("%d bytes came out, want %d", len(got), len(want))
			}
			if !bytes.Equal(before, f.Payload) {
				t.Error("the frame was written to")
			}
			for i, p := range packets {
				if len(p) > maxPacket || cap(p) != len(p) {
					t.Errorf("packet %d: %d bytes, room for %d", i, len(p), cap(p))
				}
			}
		})
	}
}

func TestTicks(t *testing.T) {
	for _, test := range []struct {
		at   time.Duration
		want uint32
	}{
		{0, 0}, {time.Second, 90_000}, {100 * time.Millisecond, 9000}, {-time.Second, 1<<32 - 90_000},
		{1000 * time.Hour, uint32(1000 * 3600 * 90_000 % (1 << 32))},
		{20 * 365 * 24 * time.Hour, uint32(20 * 365 * 24 * 3600 * 90_000 % (1 << 32))},
	} {
		if got := Ticks(test.at, VideoClock); got != test.want {
			t.Errorf("%v is %d ticks, want %d", test.at, got, test.want)
		}
	}
}

// fill adds pictures at 30 a second, a key picture every gop.
func fill(h *History, count, gop, size int) {
	for range count {
		n := int(h.count)
		pts := time.Duration(n) * time.Second / 30
		f := &frame.Frame{Track: testTrack, Key: n%gop == 0, Payload: picturePayload(n%gop == 0, size)}
		h.Add(Packetise(nil, f, h.ssrc, Ticks(pts, VideoClock)), pts, f.Key, time.Now())
	}
}

func TestHistoryIsBounded(t *testing.T) {
	h := newHistory(1, 64, 16)
	fill(h, 100, 10, 3000) // 3 or 4 packets each
	if held := h.head - h.tail; held != 64 {
		t.Errorf("%d packets held", held)
	}
	buf := make([]Packet, 16)
	if _, ok := h.Fetch(buf, h.tail-1); ok {
		t.Error("a packet that has left was fetched")
	}
	if n, ok := h.Fetch(buf, h.head-5); n != 5 || !ok {
		t.Errorf("the newest five: %d, %v", n, ok)
	}
	if n, ok := h.Fetch(buf, h.head); n != 0 || !ok {
		t.Errorf("nothing new: %d, %v", n, ok)
	}
	big := newHistory(1, videoPackets, videoNumbers)
	fill(big, 60, 10, 200_000)
	if big.bytes > historyBytes || big.bytes < historyBytes/2 {
		t.Errorf("%d bytes held", big.bytes)
	}
	sum := 0
	for i := big.tail; i < big.head; i++ {
		sum += len(big.packets[i%videoPackets].Data)
	}
	if sum != big.bytes {
		t.Errorf("%d bytes counted, %d held", big.bytes, sum)
	}
}

func TestNewestGroup(t *testing.T) {
	h := newHistory(1, videoPackets, videoNumbers)
	if _, ok := h.NewestGroup(); ok {
		t.Fatal("a group in an empty history")
	}
	fill(h, 75, 30, 5000)
	g, ok := h.NewestGroup()
	if !ok || g.From != 60 || g.To != 75 || g.Live != 74*3000 || g.Frame != 3000 {
		t.Errorf("%+v, %v", g, ok)
	}
	if span := g.Span.Round(time.Millisecond); span != 467*time.Millisecond {
		t.Errorf("span %v", span)
	}
	if rate := h.Rate(); rate < 140_000 || rate > 170_000 { // 30 times 5,000 bytes and headers
		t.Errorf("rate %d", rate)
	}
	if _, _, ok := h.KeyAfter(61); ok {
		t.Error("a key picture that is not there yet")
	}
	if index, number, ok := h.KeyAfter(60); !ok || index != g.First || number != 60 {
		t.Errorf("key picture at %d, %v; want %d", index, ok, g.First)
	}
	small := newHistory(1, 32, 16)
	fill(small, 40, 30, 5000) // the key picture has left
	if _, ok := small.NewestGroup(); ok {
		t.Error("a group without its key picture")
	}
}

// Catch-up timestamps rise picture by picture, come after what was sent, meet
// the live ones and stay with them, and depend on the picture alone.
func TestCatchUpTimestamps(t *testing.T) {
	for range 2000 {
		count := 1 + rand.Uint64N(90)
		step := 900 + rand.Uint32N(3000)
		key := rand.Uint32()
		g := Group{From: 100, To: 100 + count, Live: key + uint32(count-1)*step, Frame: step}
		started := rand.IntN(2) == 1
		last := g.Live - 9000 + rand.Uint32N(9001+2*step)
		c := Cursor{Started: started, Last: last}
		c.Replay(g, true)
		before, met := last, false
		for n := g.From; n < g.To+2*count+20; n++ {
			live := key + uint32(n-g.From)*step
			ts := c.Plan.Timestamp(n, live)
			if (started || n > g.From) && int32(ts-before) <= 0 {
				t.Fatalf("picture %d of %d: timestamp %d after %d (live %d, last %d)", n-g.From, count, ts, before, live, last)
			}
			if ts != c.Plan.Timestamp(n, live) {
				t.Fatal("the timestamp depends on more than the picture")
			}
			if met && ts != live {
				t.Fatal("a live picture was stamped anew")
			}
			before, met = ts, ts == live
		}
		if !met {
			t.Fatalf("%d pictures later the live timestamps are not met", 2*count+20)
		}
	}
}

func TestCursorIndex(t *testing.T) {
	c := Cursor{Seq: 65_530}
	c.MoveTo(1000, CatchUp{})
	for range 20 {
		c.Sent(1, 1)
	}
	for _, test := range []struct {
		seq   uint16
		index uint64
		ok    bool
	}{
		{65_530, 1000, true}, {65_535, 1005, true}, {0, 1006, true}, {13, 1019, true},
		{14, 0, false}, {15, 0, false}, {65_529, 0, false}, {30_000, 0, false},
	} {
		if index, _, ok := c.Index(test.seq); index != test.index || ok != test.ok {
			t.Errorf("sequence %d: %d, %v; want %d, %v", test.seq, index, ok, test.index, test.ok)
		}
	}
	c.MoveTo(900, CatchUp{})
	c.Sent(1, 1)
	if _, _, ok := c.Index(13); ok {
		t.Error("a sequence from before the move was found")
	}
	if index, _, ok := c.Index(14); !ok || index != 900 {
		t.Errorf("after the move: %d, %v", index, ok)
	}
}

// After a wait the timestamps are live, but never behind what was sent.
func TestGoOnIsNeverBehind(t *testing.T) {
	c := Cursor{Started: true, Last: 5000}
	c.Wait(3)
	c.GoOn(10, 3)
	if c.Waiting || c.Next != 10 {
		t.Errorf("%+v", c)
	}
	for _, test := range []struct {
		number     uint64
		live, want uint32
	}{{3, 4000, 5001}, {4, 4500, 5002}, {5, 9000, 9000}} {
		if got := c.Plan.Timestamp(test.number, test.live); got != test.want {
			t.Errorf("picture %d: %d, want %d", test.number, got, test.want)
		}
	}
}
