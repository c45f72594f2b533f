package codec

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"
)

// The skip picture of 1280x720 without CABAC, from the standard by hand: 3,600
// macroblocks skipped.
func TestSkipPictureBits(t *testing.T) {
	c, err := NewH264(unhex(t, "6742c01fda014016e9b808080a000003000200000300791e306540"), unhex(t, "68ce3c80"))
	if err != nil {
		t.Fatal(err)
	}
	s := StillOf(c, appendNALU(nil, unhex(t, "6588843aff")))
	want := unhex(t, "00000007419a22800708c0")
	if got := s.Skip(1); !bytes.Equal(got, want) {
		t.Errorf("% x, want % x", got, want)
	}
	if bytes.Equal(s.Key(0), s.Key(1)) || !bytes.Equal(s.Key(0), s.Key(2)) {
		t.Error("the key frame does not alternate")
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The silence of AAC that is known to decode to exact zeros, and of Opus.
func TestSilence(t *testing.T) {
	for channels, want := range map[int]string{
		1: "00000007", 2: "21000000001c", 6: "00000001080000000023000000000c000000e0",
		9: "",
	} {
		if got := (&AAC{Channels: channels}).Silence(); hex.EncodeToString(got) != want {
			t.Errorf("%d channels: %x, want %s", channels, got, want)
		}
	}
	aac, err := NewAAC([]byte{0x12, 0x10})
	if err != nil {
		t.Fatal(err)
	}
	if _, length := SilenceOf(aac, nil); length != 1024*time.Second/44100 {
		t.Errorf("AAC of 44.1 kHz: %v", length)
	}
	for _, test := range []struct {
		channels   int
		last, want string
	}{{1, "", "f8fffe"}, {2, "fc00", "fcfffe"}, {2, "7c00", "4807c979c8c957c0"}, {1, "08", "4807c979c8c957c0"}} {
		c := &Opus{Channels: test.channels}
		got, length := SilenceOf(c, unhex(t, test.last))
		if hex.EncodeToString(got) != test.want || length != 20*time.Millisecond || OpusSamples(got) != 960 {
			t.Errorf("Opus, %d channels, after %q: %x of %v", test.channels, test.last, got, length)
		}
	}
}

// A source that is not understood is shown by its own bytes, without skips.
func TestStillOfTheUnknown(t *testing.T) {
	c := baseline(t)
	for _, payload := range [][]byte{nil, {0, 0, 0, 2, 0x65, 0}, {0, 0, 0, 1, 0x41}, {0, 0, 0, 9, 0x65}} {
		s := StillOf(c, payload)
		if !bytes.Equal(s.Key(0), payload) || s.Skip(1) != nil {
			t.Errorf("% x: % x, % x", payload, s.Key(0), s.Skip(1))
		}
	}
	if s := StillOf(&AAC{}, []byte{1}); !bytes.Equal(s.Key(1), []byte{1}) || s.Skip(2) != nil {
		t.Error("a codec without stills is not repeated")
	}
}

func FuzzStill(f *testing.F) {
	base := baseline(f)
	f.Add(base.SPS, base.PPS, idr(0, "1011"))
	f.Add(base.SPS, base.PPS, appendNALU(appendNALU(appendNALU(nil, base.SPS), base.PPS), []byte{0x61, 0x88, 0x84, 0x21, 0xa0, 0x55}))
	f.Add([]byte{0x67, 100, 0, 31, 0xac}, []byte{0x68, 0xeb, 0xe3, 0xcb, 0x20}, idr(65535, "1111010101"))
	f.Fuzz(func(t *testing.T, sps, pps, payload []byte) {
		c, err := NewH264(sps, pps)
		if err != nil || !ValidAVCC(payload) {
			return
		}
		s := StillOf(c, payload)
		for n := range 3 {
			if !ValidAVCC(s.Key(n)) {
				t.Fatalf("key %d: % x", n, s.Key(n))
			}
			skip := s.Skip(n + 1)
			if skip != nil && (!ValidAVCC(skip) || HasIDR(skip) || len(skip) > 64<<10) {
				t.Fatalf("skip %d: % x", n+1, skip)
			}
		}
		if Promotable(c, payload) && HasIDR(payload) {
			t.Fatal("an IDR picture is promoted")
		}
	})
}
