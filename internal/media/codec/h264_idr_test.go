package codec

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// baseline is a parameter set with 4 bits of frame_num and frames only.
func baseline(t testing.TB) *H264 {
	t.Helper()
	sps, err := hex.DecodeString("6742c01ed900a02ff970110000030001000003003c0f162e48")
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewH264(sps, []byte{0x68, 0xcb, 0x83, 0xcb, 0x20})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// idr makes an access unit of one slice: the bits of a header with idr_pic_id,
// then rest.
func idr(id uint32, rest string) []byte {
	bits := "1" + "0001000" + "1" + "0000" // first_mb 0, slice type 7, pps 0, frame_num 0
	bits += golombBits(id) + rest
	nalu := []byte{0x65}
	for len(bits)%8 != 0 {
		bits += "0"
	}
	for i := 0; i < len(bits); i += 8 {
		v := byte(0)
		for _, c := range bits[i : i+8] {
			v = v<<1 | byte(c-'0')
		}
		nalu = append(nalu, v)
	}
	return appendNALU(nil, escape(nalu))
}

func golombBits(v uint32) string {
	s := ""
	for n := v + 1; n > 0; n >>= 1 {
		s = string(rune('0'+n&1)) + s
	}
	zeros := ""
	for range len(s) - 1 {
		zeros += "0"
	}
	return zeros + s
}

func TestRepeatIDR(t *testing.T) {
	c := baseline(t)
	rest := "101100000000000000000000000000000000010110111"
	for _, id := range []uint32{0, 1, 2, 3, 7, 62, 254, 4095, 65533, 65534, 65535} {
		in := idr(id, rest)
		before := bytes.Clone(in)
		a, b, err := c.repeatIDR(in)
		if err != nil {
			t.Fatalf("id %d: %v", id, err)
		}
		if !bytes.Equal(in, before) {
			t.Fatal("the input changed")
		}
		var found []uint32
		for _, out := range [][]byte{a, b} {
			r := bitReader{b: h264.EmulationPreventionRemove(out[4:]), pos: 8 + 13}
			v := r.golomb()
			// Up to the zeros at the end, the slice is one with that id.
			if want := idr(v, rest); bytes.HasPrefix(out[4:], bytes.TrimRight(want[4:], "\x00")) {
				found = append(found, v)
			}
		}
		if len(found) != 2 || found[0] == found[1] || found[0] == id || found[1] == id {
			t.Errorf("id %d became %v", id, found)
		}
	}
}

func TestRepeatIDRLeavesOthersAlone(t *testing.T) {
	c := baseline(t)
	in := appendNALU(nil, []byte{9, 0xf0})
	in = appendNALU(in, c.SPS)
	in = appendNALU(in, []byte{6, 1, 2, 0x80})
	in = append(in, idr(0, "1111")...)
	a, b, err := c.repeatIDR(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range [][]byte{a, b} {
		var kinds []byte
		for n := range NALUs(out) {
			kinds = append(kinds, n[0]&0x1f)
		}
		if !bytes.Equal(kinds, []byte{NALSPS, NALIDR}) {
			t.Errorf("NAL unit types %v", kinds)
		}
	}
	if _, _, err := c.repeatIDR(appendNALU(nil, []byte{0x65, 0x88})); err == nil {
		t.Error("half a slice header is accepted")
	}
}

func FuzzRepeatIDR(f *testing.F) {
	c := baseline(f)
	f.Add(idr(0, "1011"))
	f.Add(idr(65535, ""))
	f.Add([]byte{0, 0, 0, 2, 0x65, 0x88, 0, 0, 0, 9})
	f.Fuzz(func(t *testing.T, payload []byte) {
		a, b, err := c.repeatIDR(payload)
		if err == nil && HasIDR(payload) && (bytes.Equal(a, b) || !ValidAVCC(a) || !ValidAVCC(b)) {
			t.Errorf("%x became %x and %x", payload, a, b)
		}
	})
}
