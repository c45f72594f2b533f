package webrtc

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"go.uber.org/goleak"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/webrtc/packets"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testTrack = &frame.Track{Codec: &codec.H264{SPS: []byte{0x67, 66, 0xc0, 31, 1, 2}, PPS: []byte{0x68, 3, 4}}}

// unit is a NAL unit of a type and size.
func unit(header byte, size int) []byte {
	return append([]byte{header}, bytes.Repeat([]byte{0xa5}, size-1)...)
}

// payload is a picture of one NAL unit, as frames carry it.
func payload(nal []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(nal))), nal...)
}

func picturePayload(key bool, size int) []byte {
	if key {
		return payload(unit(0x65, size))
	}
	return payload(unit(0x41, size))
}

// fill adds pictures at 30 a second that come now, a key picture every gop.
func fill(h *packets.History, count, gop, size int) { fillAt(h, count, gop, size, time.Now()) }

func fillAt(h *packets.History, count, gop, size int, now time.Time) {
	for range count {
		next, _ := h.Newest()
		n := int(next)
		key, pts := n%gop == 0, time.Duration(n)*time.Second/30
		f := frame.Frame{Track: testTrack, Key: key, Payload: picturePayload(key, size)}
		h.Add(packets.Packetise(nil, &f, h.SSRC(), packets.Ticks(pts, packets.VideoClock)), pts, key, now)
	}
}

// packetAt returns a packet of a history.
func packetAt(t testing.TB, h *packets.History, index uint64) packets.Packet {
	t.Helper()
	var one [1]packets.Packet
	if n, ok := h.Fetch(one[:], index); n != 1 || !ok {
		t.Fatalf("no packet %d", index)
	}
	return one[0]
}
