package codec

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	mp4codecs "github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"

	"glimpse/internal/media/frame"
)

// The parameters of a 320x180 test picture as x265 and libaom make them, in the
// records that ffmpeg writes.
const (
	hvcC = "0101600000009000000000003cf000fcfdf8f800000f03200001001840010c01ffff01600000030090000003000003003c928090" +
		"210001002942010101600000030090000003000003003ca00a080b9f7964a924caf0168080000003008000000f0422000100074401c172b46240"
	av1C = "81000c000a0b000000043cfeccdaf90040"
)

func unhexed(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func hevc(t testing.TB) *H265 {
	t.Helper()
	c, lengths, err := ParseHVCC(unhexed(t, hvcC))
	if err != nil || lengths != 4 {
		t.Fatalf("lengths of %d bytes, %v", lengths, err)
	}
	return c
}

func av1of(t testing.TB) *AV1 {
	t.Helper()
	c, err := ParseAV1C(unhexed(t, av1C))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What players are told, and the records, are those that ffmpeg gives of the same
// streams.
func TestEnhancedParameters(t *testing.T) {
	for _, c := range []struct {
		codec  Video
		mime   string
		record []byte
		want   string
	}{
		{hevc(t), "hvc1.1.6.L60.90", hevc(t).HVCC(), hvcC},
		{av1of(t), "av01.0.00M.08", av1of(t).AV1C(), av1C},
	} {
		width, height := c.codec.Size()
		if c.codec.MIME() != c.mime || width != 320 || height != 180 || c.codec.Kind() != frame.Video {
			t.Errorf("%s: %q, %dx%d", c.codec.Name(), c.codec.MIME(), width, height)
		}
		// ffmpeg does not say that the list of sets is complete (array_completeness).
		got := bytes.Clone(c.record)
		if c.codec.Name() == "H.265" {
			for i := 23; i < len(got); i += 5 + int(binary.BigEndian.Uint16(got[i+3:])) {
				got[i] &^= 0x80
			}
		}
		if !bytes.Equal(got, unhexed(t, c.want)) {
			t.Errorf("%s: record %x", c.codec.Name(), c.record)
		}
	}
	if hevc(t).FrameRate() != 30 {
		t.Errorf("H.265: %g pictures a second", hevc(t).FrameRate())
	}
}

// A CRA and an IDR are key frames, the pictures after them are not; AV1's first
// frame must be one that is shown.
func TestEnhancedKeyFrames(t *testing.T) {
	for payload, want := range map[string]bool{
		"00000003260142": true, "00000003280142": true, "000000032a0142": true, // 19, 20, 21
		"00000003020142": false, "000000024001": false, "": false,
	} {
		if got := hevc(t).IsKey(unhexed(t, payload)); got != want {
			t.Errorf("H.265 % s: %v", payload, got)
		}
	}
	for payload, want := range map[string]bool{
		"32021000": true, "0a0b000000043cfeccdaf9004032021000": true,
		"32023000": false, "32020000": false, "32029000": false, "3200": false, "320210": false, "": false,
	} {
		if got := av1of(t).IsKey(unhexed(t, payload)); got != want {
			t.Errorf("AV1 %s: %v", payload, got)
		}
	}
}

// The pictures of a source change its parameters, and only when they do.
func TestPictures(t *testing.T) {
	for _, name := range []string{"", "VP9", "AAC"} {
		if NewPictures(name) != nil {
			t.Errorf("%q is taken", name)
		}
	}
	p := NewPictures("H.265")
	if payload, _, err := p.Unit([]byte{0, 0, 0, 2, 2, 1}); payload != nil || err != nil {
		t.Errorf("a picture before its configuration: %x, %v", payload, err)
	}
	if err := p.Configure([]byte{1}); err == nil {
		t.Error("a cut record is accepted")
	}
	c := hevc(t)
	key := appendNALU(nil, []byte{0x28, 1, 0xaf})
	if payload, _, err := p.Unit(key); payload != nil || err != nil || p.Codec() != nil {
		t.Errorf("without parameters: %x, %v", payload, err)
	}
	if payload, isKey, err := p.Unit(c.InBand(key)); err != nil || !isKey || !bytes.Equal(payload, c.InBand(key)) {
		t.Errorf("with parameters in-band: %x, %v, %v", payload, isKey, err)
	}
	first := p.Codec()
	if first == nil || !Same(first, c) {
		t.Fatalf("parameters in-band: %v", first)
	}
	if err := p.Configure(unhexed(t, hvcC)); err != nil || p.Codec() != first {
		t.Errorf("equal parameters are a change (%v)", err)
	}
	other := bytes.Clone(c.PPS)
	other[2] ^= 0x20
	if _, _, err := p.Unit(append(appendNALU(nil, other), key...)); err != nil || p.Codec() == first {
		t.Errorf("another picture parameter set is no change (%v)", err)
	}
	if _, _, err := p.Unit([]byte{0, 0, 0, 9, 1}); err == nil {
		t.Error("half a unit is accepted")
	}
	annexB := append([]byte{0, 0, 0, 1, 0x46, 1, 0x50, 0, 0, 1}, 0x28, 1, 0xaf) // a delimiter first
	if payload, isKey, err := p.AnnexB(annexB); err != nil || !isKey || !bytes.Equal(payload, key) {
		t.Errorf("byte stream: %x, %v, %v", payload, isKey, err)
	}
}

// AV1 comes out as MP4 has it: no delimiter, every size there, key frames with
// the sequence header.
func TestAV1Units(t *testing.T) {
	p := NewPictures("AV1")
	if err := p.Configure(unhexed(t, av1C)); err != nil {
		t.Fatal(err)
	}
	sequence := "0a0b000000043cfeccdaf90040"
	for in, want := range map[string]string{
		"32021000":             sequence + "32021000", // brings no header
		"120032021000":         sequence + "32021000", // a delimiter
		"301000":               sequence + "32021000", // the last unit's size is left out
		"120032023000":         "32023000",
		"12000a0132023000":     "", // a unit that is cut
		sequence + "32021000":  sequence + "32021000",
		"7a0101" + "32023000":  "32023000", // padding
		"36000230003202300012": "",
		"b2021000":             "", // the forbidden bit
		"1200":                 "",
	} {
		payload, _, err := p.Unit(unhexed(t, in))
		if got := hex.EncodeToString(payload); got != want || want == "" && payload != nil {
			t.Errorf("%s became %s, %v; want %s", in, got, err, want)
		}
	}
}

// Every codec has an init that says what it is, and those of MPEG-TS a stream
// that comes back.
func TestMappings(t *testing.T) {
	sound, err := NewAAC([]byte{0x11, 0x90})
	if err != nil {
		t.Fatal(err)
	}
	key := appendNALU(nil, []byte{0x28, 1, 0xaf, 0x80})
	for _, c := range []frame.Codec{baseline(t), hevc(t), av1of(t), sound, &Opus{Channels: 2}} {
		m, ok := c.(interface{ MP4Codec() mp4codecs.Codec })
		if !ok {
			t.Errorf("%s has no mapping onto MP4", c.Name())
			continue
		}
		var buf seekablebuffer.Buffer
		init := fmp4.Init{Tracks: []*fmp4.InitTrack{{ID: 1, TimeScale: 90000, Codec: m.MP4Codec()}}}
		if err := init.Marshal(&buf); err != nil {
			t.Errorf("%s: %v", c.Name(), err)
		}
	}
	for _, c := range []struct {
		codec interface {
			frame.Codec
			WriteTS(w *mpegts.Writer, t *mpegts.Track, f *frame.Frame) error
		}
		payload []byte
	}{{hevc(t), key}, {&Opus{Channels: 2}, []byte{0xfc, 0xff, 0xfe}}} {
		var buf bytes.Buffer
		track := &mpegts.Track{}
		switch c := c.codec.(type) {
		case *H265:
			track.Codec = c.TSCodec()
		case *Opus:
			track.Codec = c.TSCodec()
		}
		w := &mpegts.Writer{W: &buf, Tracks: []*mpegts.Track{track}}
		if err := w.Initialize(); err != nil {
			t.Fatal(err)
		}
		f := &frame.Frame{Track: &frame.Track{Codec: c.codec}, PTS: time.Second, DTS: time.Second, Key: true, Payload: c.payload}
		if err := c.codec.WriteTS(w, track, f); err != nil {
			t.Fatal(err)
		}
		r := &mpegts.Reader{R: &buf}
		if err := r.Initialize(); err != nil {
			t.Fatal(err)
		}
		var got [][]byte
		switch c.codec.(type) {
		case *H265:
			r.OnDataH265(r.Tracks()[0], func(_, _ int64, au [][]byte) error { got = au; return nil })
		case *Opus:
			r.OnDataOpus(r.Tracks()[0], func(_ int64, packets [][]byte) error { got = packets; return nil })
		}
		for r.Read() == nil {
		}
		want := c.payload
		if c.codec.Name() == "H.265" {
			want = want[4:]
		}
		if len(got) == 0 || !bytes.Equal(got[len(got)-1], want) {
			t.Errorf("%s came back as %x", c.codec.Name(), got)
		}
	}
}

func TestOpusHead(t *testing.T) {
	head := (&Opus{Channels: 1}).Head()
	if want := "4f7075734865616401013801" + "80bb0000" + "000000"; hex.EncodeToString(head) != want {
		t.Errorf("%x", head)
	}
	if c, err := ParseOpusHead(head); err != nil || c.Channels != 1 {
		t.Errorf("%v, %v", c, err)
	}
	for name, change := range map[string]func([]byte) []byte{
		"cut":         func(b []byte) []byte { return b[:18] },
		"no channel":  func(b []byte) []byte { b[9] = 0; return b },
		"surround":    func(b []byte) []byte { b[9], b[18] = 6, 1; return b },
		"other magic": func(b []byte) []byte { b[0] = 'o'; return b },
	} {
		if _, err := ParseOpusHead(change(bytes.Clone(head))); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestTSOpus(t *testing.T) {
	if packets, err := ParseTSOpus(unhexed(t, "7fe003fcfffe7fe002fcff")); err != nil || len(packets) != 2 || len(packets[1]) != 2 {
		t.Errorf("%x, %v", packets, err)
	}
	for _, bad := range []string{"", "7fe0", "7fe005fcff", "000003fcfffe"} {
		if packets, err := ParseTSOpus(unhexed(t, bad)); err == nil {
			t.Errorf("%s became %x", bad, packets)
		}
	}
	for d, want := range map[string]int{"": 2, "05044f7075737f028001": 1, "7f028002": 2, "7f028006": 0, "7f0280": 2} {
		got := 0
		if c := TSOpus(unhexed(t, d)); c != nil {
			got = c.Channels
		}
		if got != want {
			t.Errorf("descriptors %s: %d channels", d, got)
		}
	}
}

// Nothing that strangers send as parameters or pictures makes a parser fail, and
// what comes out is well formed.
func FuzzPictures(f *testing.F) {
	f.Add(uint8(0), unhexed(f, "014200150301000468"), []byte{0, 0, 0, 1, 0x65})
	f.Add(uint8(1), unhexed(f, hvcC), []byte{0, 0, 0, 3, 0x28, 1, 0xaf})
	f.Add(uint8(2), unhexed(f, av1C), unhexed(f, "120032021000"))
	f.Fuzz(func(t *testing.T, which uint8, record, unit []byte) {
		name := []string{"H.264", "H.265", "AV1"}[which%3]
		p := NewPictures(name)
		_ = p.Configure(record)
		for _, take := range []func([]byte) ([]byte, bool, error){p.Unit, p.AnnexB} {
			payload, key, err := take(unit)
			if payload == nil || err != nil {
				continue
			}
			c := p.Codec()
			if key != c.IsKey(payload) {
				t.Errorf("%s: a key frame %v", name, key)
			}
			if key && name != "AV1" && !ValidAVCC(c.InBand(payload)) {
				t.Errorf("%s: in-band %x", name, payload)
			}
			_ = c.MIME()
			if width, height := c.Size(); width < 1 || height < 1 || width > maxDimension || height > maxDimension {
				t.Errorf("%s: %dx%d", name, width, height)
			}
			StillOf(c, payload)
		}
	})
}

func FuzzSounds(f *testing.F) {
	f.Add((&Opus{Channels: 2}).Head(), unhexed(f, "7fe003fcfffe"))
	f.Add([]byte{0x11, 0x90}, unhexed(f, "7f028002"))
	f.Add([]byte{0x11, 0x90}, unhexed(f, "fff14c80013ffc2100"))
	f.Fuzz(func(t *testing.T, config, b []byte) {
		for _, name := range []string{"AAC", "Opus"} {
			if c, err := NewAudio(name, config); err == nil {
				if rate, n := c.Samples(b); rate < 1 || n < 1 {
					t.Errorf("%d samples at %d Hz", n, rate)
				}
				_ = c.MIME()
			}
		}
		packets, _ := ParseTSOpus(b)
		c, units, err := ParseADTS(b)
		if err == nil && len(units) > 0 {
			if rate, n := c.Samples(nil); rate < 1 || n < 1 {
				t.Errorf("%d samples at %d Hz by ADTS", n, rate)
			}
		}
		for _, all := range [][][]byte{packets, units} {
			n := 0
			for _, p := range all {
				n += len(p)
			}
			if n > len(b) {
				t.Error("more came out than went in")
			}
		}
		TSOpus(b)
	})
}
