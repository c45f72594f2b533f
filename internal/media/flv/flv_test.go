package flv_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/flv"
	"glimpse/internal/media/frame"
)

// encode makes an FLV file of one second with ffmpeg, B-frames included.
func encode(t *testing.T) []byte {
	t.Helper()
	return ffmpeg(t, nil, "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=30", "-f", "lavfi", "-i", "sine=sample_rate=48000",
		"-t", "1", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-c:a", "aac", "-f", "flv", "-flvflags", "no_duration_filesize", "pipe:1")
}

func ffmpeg(t *testing.T, in []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ffmpeg", append([]string{"-hide_banner", "-loglevel", "error"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &errs
	if err := cmd.Run(); err != nil || errs.Len() > 0 {
		t.Fatalf("ffmpeg %v: %v: %s", args, err, errs.String())
	}
	return out.Bytes()
}

// demux reads a file back into frames with the package's own parsers.
func demux(t *testing.T, file []byte) []*frame.Frame {
	t.Helper()
	var frames []*frame.Frame
	var video, audio *frame.Track
	for b := file[13:]; len(b) > 15; {
		n := int(binary.BigEndian.Uint32(b) & 0xffffff)
		ts := uint32(b[7])<<24 | uint32(b[4])<<16 | uint32(b[5])<<8 | uint32(b[6])
		body := b[11 : 11+n]
		dts := time.Duration(ts) * time.Millisecond
		switch b[0] {
		case flv.TagVideo:
			tag, err := flv.ParseVideo(body)
			if err != nil {
				t.Fatal(err)
			}
			switch tag.Packet {
			case flv.Config:
				c, size, err := codec.ParseAVCC(tag.Data)
				if err != nil || size != 4 {
					t.Fatalf("configuration: %v, lengths of %d", err, size)
				}
				video = &frame.Track{Codec: c}
			case flv.Frame:
				pts := dts + time.Duration(tag.CTS)*time.Millisecond
				frames = append(frames, &frame.Frame{Track: video, PTS: pts, DTS: dts, Key: tag.Key, Payload: tag.Data})
			}
		case flv.TagAudio:
			tag, err := flv.ParseAudio(body)
			if err != nil {
				t.Fatal(err)
			}
			switch tag.Packet {
			case flv.Config:
				c, err := codec.NewAAC(tag.Data)
				if err != nil {
					t.Fatal(err)
				}
				audio = &frame.Track{Codec: c}
			case flv.Frame:
				frames = append(frames, &frame.Frame{Track: audio, PTS: dts, DTS: dts, Payload: tag.Data})
			}
		}
		b = b[11+n+4:]
	}
	return frames
}

// A file that goes through the parsers and the writer is the same to ffmpeg,
// packet by packet: times, sizes and checksums.
func TestRoundTripThroughFFmpeg(t *testing.T) {
	file := encode(t)
	frames := demux(t, file)
	if len(frames) < 70 {
		t.Fatalf("%d frames; 30 pictures and 47 of sound expected", len(frames))
	}
	var out bytes.Buffer
	w := flv.NewWriter(&out)
	tracks := map[frame.Kind]*frame.Track{}
	for _, f := range frames {
		tracks[f.Track.Kind()] = f.Track
	}
	for _, k := range []frame.Kind{frame.Video, frame.Audio} {
		if err := w.WriteTrack(tracks[k]); err != nil {
			t.Fatal(err)
		}
	}
	if out.Len() != 0 {
		t.Error("tracks were written before the first frame")
	}
	for _, f := range frames {
		if err := w.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"-f", "flv", "-i", "pipe:0", "-map", "0", "-c", "copy", "-f", "framecrc", "pipe:1"}
	want, got := ffmpeg(t, file, args...), ffmpeg(t, out.Bytes(), args...)
	if !bytes.Equal(want, got) {
		t.Errorf("packets differ\n--- ffmpeg's file\n%.600s\n--- ours\n%.600s", want, got)
	}
}

func TestWriterRepeatsSequenceHeaderOnChange(t *testing.T) {
	aac, err := codec.NewAAC([]byte{0x11, 0x90})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := flv.NewWriter(&out)
	one, two := &frame.Track{Codec: aac}, &frame.Track{Codec: aac}
	for _, f := range []*frame.Frame{{Track: one, Payload: []byte{1}}, {Track: one, Payload: []byte{2}}, {Track: two, DTS: 0x1234567 * time.Millisecond, Payload: []byte{3}}} {
		if err := w.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
	}
	if n := bytes.Count(out.Bytes(), aac.FLVConfig()); n != 2 {
		t.Errorf("%d sequence headers; one for each of two tracks expected", n)
	}
	if out.Bytes()[4] != 4 {
		t.Errorf("file flags %d; sound alone is 4", out.Bytes()[4])
	}
	if !bytes.Contains(out.Bytes(), []byte{8, 0, 0, 3, 0x23, 0x45, 0x67, 0x01}) {
		t.Error("timestamp beyond 24 bits is not split")
	}
	if err := w.WriteTrack(&frame.Track{Codec: strange{}}); err == nil {
		t.Error("a codec that FLV does not carry was accepted")
	}
}

// strange is a codec that nothing is known of.
type strange struct{ frame.Codec }

func (strange) Name() string     { return "strange" }
func (strange) Kind() frame.Kind { return frame.Audio }

// Every codec comes back from its own tags, whatever the composition offset.
func TestEnhancedTags(t *testing.T) {
	opus := &codec.Opus{Channels: 1}
	hvcC, err := hex.DecodeString("0101600000009000000000003cf000fcfdf8f800000f03200001001840010c01ffff01600000030090000003000003003c928090" +
		"210001002942010101600000030090000003000003003ca00a080b9f7964a924caf0168080000003008000000f0422000100074401c172b46240")
	if err != nil {
		t.Fatal(err)
	}
	h265, _, err := codec.ParseHVCC(hvcC)
	if err != nil {
		t.Fatal(err)
	}
	av1, err := codec.ParseAV1C([]byte("\x81\x00\x0c\x00\x0a\x0b\x00\x00\x00\x04\x3c\xfe\xcc\xda\xf9\x00\x40"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		codec  flv.Codec
		record []byte
		parse  func([]byte) (flv.Tag, error)
	}{{h265, h265.HVCC(), flv.ParseVideo}, {av1, av1.AV1C(), flv.ParseVideo}, {opus, opus.Head(), flv.ParseAudio}} {
		name := c.codec.Name()
		if tag, err := c.parse(c.codec.FLVConfig()); err != nil || tag.Packet != flv.Config || tag.Codec != name || !bytes.Equal(tag.Data, c.record) {
			t.Errorf("%s: configuration %+v, %v", name, tag, err)
		}
		for _, cts := range []int32{0, 33, -33} {
			for _, key := range []bool{true, false} {
				tag, err := c.parse(append(c.codec.AppendFLV(nil, key, cts), 9))
				if name != "H.265" {
					cts = 0
				}
				if name == "Opus" {
					key = false
				}
				if err != nil || tag.Packet != flv.Frame || tag.Codec != name || tag.Key != key || tag.CTS != cts || !bytes.Equal(tag.Data, []byte{9}) {
					t.Errorf("%s, key %v, offset %d: %+v, %v", name, key, cts, tag, err)
				}
			}
		}
		said := map[string]float64{}
		c.codec.FLVMetadata(func(name string, v float64) { said[name] = v })
		if len(said) < 3 {
			t.Errorf("%s: onMetaData says %v", name, said)
		}
	}
}

func TestParse(t *testing.T) {
	tests := []struct {
		name    string
		video   bool
		body    []byte
		want    flv.Tag
		codec   string // of an UnsupportedError
		several bool   // refused as such
		bad     bool
	}{
		{name: "empty video", video: true},
		{name: "config", video: true, body: []byte{0x17, 0, 0, 0, 0, 1}, want: flv.Tag{Packet: flv.Config, Codec: "H.264", Key: true, Data: []byte{1}}},
		{name: "key", video: true, body: []byte{0x17, 1, 0, 0, 0x42, 9}, want: flv.Tag{Packet: flv.Frame, Codec: "H.264", Key: true, CTS: 0x42, Data: []byte{9}}},
		{name: "negative composition", video: true, body: []byte{0x27, 1, 0xff, 0xff, 0xdf, 9}, want: flv.Tag{Packet: flv.Frame, Codec: "H.264", CTS: -33, Data: []byte{9}}},
		{name: "end of sequence", video: true, body: []byte{0x17, 2, 0, 0, 0}},
		{name: "info frame", video: true, body: []byte{0x57, 0}},
		{name: "short", video: true, body: []byte{0x17, 1, 0}, bad: true},
		{name: "H.265", video: true, body: []byte{0x1c, 0, 0, 0, 0}, codec: "H.265 by a number of its own (enhanced RTMP is taken)"},
		{name: "avc1", video: true, body: append([]byte{0x91}, "avc1\x00\x00\x21\x09"...), want: flv.Tag{Packet: flv.Frame, Codec: "H.264", Key: true, CTS: 33, Data: []byte{9}}},
		{name: "avc1 without offset", video: true, body: append([]byte{0xa3}, "avc1\x09"...), want: flv.Tag{Packet: flv.Frame, Codec: "H.264", Data: []byte{9}}},
		{name: "avc1 config", video: true, body: append([]byte{0x90}, "avc1\x01"...), want: flv.Tag{Packet: flv.Config, Codec: "H.264", Key: true, Data: []byte{1}}},
		{name: "hvc1 config", video: true, body: append([]byte{0x90}, "hvc1\x01"...), want: flv.Tag{Packet: flv.Config, Codec: "H.265", Key: true, Data: []byte{1}}},
		{name: "hvc1", video: true, body: append([]byte{0xa1}, "hvc1\x00\x00\x21\x09"...), want: flv.Tag{Packet: flv.Frame, Codec: "H.265", CTS: 33, Data: []byte{9}}},
		{name: "hvc1 short", video: true, body: append([]byte{0xa1}, "hvc1\x00\x00"...), bad: true},
		{name: "hvc1 end", video: true, body: append([]byte{0x92}, "hvc1"...)},
		{name: "av01", video: true, body: append([]byte{0x91}, "av01\x09"...), want: flv.Tag{Packet: flv.Frame, Codec: "AV1", Key: true, Data: []byte{9}}},
		{name: "av01 in MPEG-TS's words", video: true, body: append([]byte{0x95}, "av01"...)},
		{name: "modified", video: true, body: append([]byte{0xa7}, "\x02\x01\x02\x03\x01hvc1\x00\x00\x00\x09"...), want: flv.Tag{Packet: flv.Frame, Codec: "H.265", Data: []byte{9}}},
		{name: "modified twice", video: true, body: append([]byte{0xa7}, "\x00\x01\x07\x01\x01\x02\x03av01\x09"...), want: flv.Tag{Packet: flv.Frame, Codec: "AV1", Data: []byte{9}}},
		{name: "modified at length", video: true, body: append(append([]byte{0xa7, 0xff, 0x00, 0x02, 1, 2, 3}, 0x03), "hvc1\x09"...), want: flv.Tag{Packet: flv.Frame, Codec: "H.265", Data: []byte{9}}},
		{name: "modified, cut", video: true, body: []byte{0xa7, 0xff, 0x7f, 0xff, 1}, bad: true},
		{name: "nothing but modifiers", video: true, body: []byte{0xa7, 0, 0, 7}, bad: true},
		{name: "several tracks", video: true, body: append([]byte{0x96, 0x01}, "hvc1"...), several: true},
		{name: "command", video: true, body: []byte{0xd1, 0}},
		{name: "vp09", video: true, body: append([]byte{0x90}, "vp09"...), codec: "VP9"},
		{name: "HDR metadata", video: true, body: append([]byte{0x94}, "hvc1"...)},
		{name: "AAC config", body: []byte{0xaf, 0, 0x11, 0x90}, want: flv.Tag{Packet: flv.Config, Codec: "AAC", Data: []byte{0x11, 0x90}}},
		{name: "AAC", body: []byte{0xaf, 1, 7}, want: flv.Tag{Packet: flv.Frame, Codec: "AAC", Data: []byte{7}}},
		{name: "empty AAC", body: []byte{0xaf, 1}},
		{name: "cut AAC", body: []byte{0xaf}, bad: true},
		{name: "MP3", body: []byte{0x2f, 1}, codec: "MP3"},
		{name: "Speex", body: []byte{0xb2, 1}, codec: "Speex"},
		{name: "Opus config", body: append([]byte{0x90}, "OpusOpusHead"...), want: flv.Tag{Packet: flv.Config, Codec: "Opus", Data: []byte("OpusHead")}},
		{name: "Opus", body: append([]byte{0x91}, "Opus\xfc"...), want: flv.Tag{Packet: flv.Frame, Codec: "Opus", Data: []byte{0xfc}}},
		{name: "modified Opus", body: append([]byte{0x97}, "\x02\x00\x00\x01\x01Opus\xfc"...), want: flv.Tag{Packet: flv.Frame, Codec: "Opus", Data: []byte{0xfc}}},
		{name: "FLAC", body: append([]byte{0x90}, "fLaC"...), codec: "FLAC"},
		{name: "channels' layout", body: append([]byte{0x94}, "Opus"...)},
		{name: "several sounds", body: append([]byte{0x95, 0x01}, "Opus"...), several: true},
		{name: "mp4a", body: append([]byte{0x91}, "mp4a\x07"...), want: flv.Tag{Packet: flv.Frame, Codec: "AAC", Data: []byte{7}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			parse := flv.ParseAudio
			if tt.video {
				parse = flv.ParseVideo
			}
			got, err := parse(tt.body)
			var refused *flv.UnsupportedError
			switch {
			case errors.As(err, &refused):
				if refused.Codec != tt.codec || tt.several != strings.Contains(err.Error(), "multitrack") || !tt.several && !strings.Contains(err.Error(), "H.264") {
					t.Errorf("refused %v; %q expected", err, tt.codec)
				}
			case (err != nil) != tt.bad || tt.codec != "" || tt.several:
				t.Errorf("error %v", err)
			case got.Packet != tt.want.Packet || got.Codec != tt.want.Codec || got.Key != tt.want.Key || got.CTS != tt.want.CTS || !bytes.Equal(got.Data, tt.want.Data):
				t.Errorf("got %+v; %+v expected", got, tt.want)
			}
		})
	}
}

func FuzzTag(f *testing.F) {
	for _, s := range []string{"\x17\x00\x00\x00\x00\x01", "\x27\x01\xff\xff\xdf\x09", "\x91avc1\x00\x00\x21\x09", "\x90hvc1", "\xaf\x01\x07", "\x91mp4a\x07", "\x57\x00", "\xa7\x02\x01\x02\x03\x01hvc1\x00\x00\x00\x09", "\x91Opus\xfc"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, parse := range []func([]byte) (flv.Tag, error){flv.ParseVideo, flv.ParseAudio} {
			tag, err := parse(b)
			if err == nil && len(tag.Data) > len(b) {
				t.Fatal("more data than body")
			}
			if tag.Packet == flv.Config && err == nil {
				_, _, _ = codec.ParseAVCC(tag.Data)
				_, _ = codec.NewAAC(tag.Data)
			}
		}
	})
}

// 32-bit milliseconds wrap after 49 days; both tracks go on together.
func TestClock(t *testing.T) {
	var c flv.Clock
	last := time.Duration(-1)
	for _, ts := range []uint32{1<<32 - 40, 1<<32 - 20, 5, 25, 1 << 31, 1<<32 - 1, 10} {
		at := c.Unwrap(ts)
		if at <= last {
			t.Fatalf("%d came out as %v after %v", ts, at, last)
		}
		last = at
	}
	if want := (2<<32 + 10) * time.Millisecond; last != want {
		t.Errorf("twice around is %v; want %v", last, want)
	}
	if at := c.Unwrap(1<<32 - 10); at != last-20*time.Millisecond {
		t.Errorf("a little back across the wrap is %v", at-last)
	}
}
