package packets

import (
	"bytes"
	"errors"
	"testing"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

// What Packetise cuts, Depacketiser puts together.
func TestDepacketise(t *testing.T) {
	sps, pps := testTrack.Codec.(*codec.H264).SPS, testTrack.Codec.(*codec.H264).PPS
	small, large := nalu(0x41, 500), nalu(0x65, 70_000)
	var d Depacketiser
	for _, test := range []struct {
		key   bool
		units [][]byte
		want  [][]byte
	}{
		{true, [][]byte{large}, [][]byte{sps, pps, large}},
		{false, [][]byte{small, large, small}, [][]byte{small, large, small}},
	} {
		f := &frame.Frame{Track: testTrack, Key: test.key, Payload: avcc(test.units...)}
		for _, p := range Packetise(nil, f, 7, 99) {
			if err := d.Push(p[HeaderSize:]); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := d.Take(); err != nil || !bytes.Equal(got, avcc(test.want...)) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
}

func TestDepacketiseRefuses(t *testing.T) {
	start, middle, end := []byte{0x7c, 0x85, 1, 2}, []byte{0x7c, 0x05, 3}, []byte{0x7c, 0x45, 4}
	for _, test := range []struct {
		name     string
		payloads [][]byte
		want     error
	}{
		{"whole", [][]byte{start, middle, end}, nil},
		{"a probe of padding", [][]byte{{}}, nil},
		{"no beginning", [][]byte{middle}, errFragment},
		{"two beginnings", [][]byte{start, start}, errFragment},
		{"no end", [][]byte{start, middle}, errFragment},
		{"another unit within", [][]byte{start, {0x41, 1}}, errFragment},
		{"begins and ends at once", [][]byte{{0x7c, 0xc5, 1}}, errFragment},
		{"fragment of nothing", [][]byte{{0x7c, 0x85}}, errPayload},
		{"type 0", [][]byte{{0x60, 1}}, errPayload},
		{"interleaved", [][]byte{{0x79, 1, 2}}, errPayload},
		{"aggregate of nothing", [][]byte{{0x78, 0, 0}}, errPayload},
		{"aggregate too long", [][]byte{{0x78, 0, 9, 1}}, errPayload},
		{"aggregate cut short", [][]byte{{0x78, 0}}, errPayload},
	} {
		t.Run(test.name, func(t *testing.T) {
			var d Depacketiser
			var err error
			for _, p := range test.payloads {
				if err = d.Push(p); err != nil {
					break
				}
			}
			if err == nil {
				_, err = d.Take()
			}
			if !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
			d.Reset()
			if d.Push([]byte{0x65, 1}) != nil {
				t.Error("no picture after a reset")
			}
		})
	}
	var d Depacketiser
	if err := d.Push(start); err != nil {
		t.Fatal(err)
	}
	part := append([]byte{0x7c, 0x05}, make([]byte, 1400)...)
	n := 0
	for ; d.Push(part) == nil; n++ {
	}
	if n*1400 > frame.MaxPicture || n*1400 < frame.MaxPicture/2 {
		t.Errorf("%d fragments were taken", n)
	}
}

// FuzzDepacketise: no payloads panic, and what comes out is well-formed and not
// larger than twice what went in.
func FuzzDepacketise(f *testing.F) {
	f.Add([]byte{0x65, 1, 2}, []byte{0x78, 0, 1, 0x67, 0, 1, 0x68})
	f.Add([]byte{0x7c, 0x85, 1}, []byte{0x7c, 0x45, 1})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var d Depacketiser
		for _, p := range [][]byte{a, b, a} {
			if d.Push(p) != nil {
				d.Reset()
			}
		}
		got, err := d.Take()
		if err != nil {
			return
		}
		if len(got) > 3*(2*len(a)+len(b))+12 {
			t.Fatalf("%d bytes of %d and %d", len(got), len(a), len(b))
		}
		total := 0
		for n := range codec.NALUs(got) {
			if len(n) == 0 {
				t.Fatal("an empty unit")
			}
			total += 4 + len(n)
		}
		if total != len(got) {
			t.Fatalf("%d bytes of units in %d", total, len(got))
		}
	})
}
