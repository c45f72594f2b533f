package cmaf

import (
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// videoTrack is one of two H.264 parameter sets of x264: 0 is Main with
// B-frames, 1 Constrained Baseline.
func videoTrack(t testing.TB, n int) *frame.Track {
	t.Helper()
	sets := [2][2]string{
		{"674d401eeca05017fcb8088000000300800000" + "1e078b16cb", "68ebe3cb20"},
		{"6742c01ed900a02ff970110000030001000003003c0f162e48", "68cb83cb20"},
	}
	c, err := codec.NewH264(unhex(t, sets[n][0]), unhex(t, sets[n][1]))
	if err != nil {
		t.Fatal(err)
	}
	return &frame.Track{Codec: c}
}

func audioTrack(t testing.TB, config string) *frame.Track {
	t.Helper()
	c, err := codec.NewAAC(unhex(t, config))
	if err != nil {
		t.Fatal(err)
	}
	return &frame.Track{Codec: c}
}

const (
	stereo48 = "1190"
	stereo44 = "1210"
	mono48   = "1188"
	mono44   = "1208"
)

var start = time.Date(2026, 11, 21, 1, 0, 0, 0, time.UTC)

// source makes frames for a muxer.
type source struct {
	t     testing.TB
	m     *muxer
	video *frame.Track
	audio *frame.Track
	size  int // of a picture's payload
	stamp func(time.Duration) time.Duration
	epoch time.Time
}

func newSource(t testing.TB) *source {
	m := &muxer{
		store: newStore("run"), budget: &budget{limit: 1 << 30}, window: time.Minute, bytes: 1 << 30,
		now: func() time.Time { return start }, early: func(int) {},
	}
	return &source{t: t, m: m, video: videoTrack(t, 1), size: 200, epoch: start}
}

func (s *source) add(f *frame.Frame) {
	s.t.Helper()
	f.Wall = s.epoch.Add(f.PTS)
	if err := s.m.frame(f); err != nil {
		s.t.Fatal(err)
	}
}

// picture adds a picture of a single NAL unit.
func (s *source) picture(pts, dts time.Duration, key bool) {
	s.t.Helper()
	s.add(&frame.Frame{Track: s.video, PTS: pts, DTS: dts, Key: key, Payload: payload(s.size, key)})
}

func payload(size int, key bool) []byte {
	b := make([]byte, size)
	binary.BigEndian.PutUint32(b, uint32(size-4))
	b[4] = 0x41
	if key {
		b[4] = 0x65
	}
	// first_mb 0, slice type 7, pps 0, frame_num 0 (4 bits), idr_pic_id 0.
	copy(b[5:], []byte{0x88, 0x84, 0x21, 0xa0})
	return b
}

// play adds pictures, and sound if there is a track, from one time to another,
// in the order of their times. Keys are pictures at multiples of gop.
func (s *source) play(from, to time.Duration, fps float64, gop time.Duration) {
	s.t.Helper()
	every := time.Duration(float64(time.Second) / fps)
	keyEvery := int(gop / every)
	sample := int64(0)
	rate := int64(48000)
	if s.audio != nil {
		rate = int64(s.audio.Codec.(*codec.AAC).SampleRate)
		sample = (int64(from)*rate/int64(time.Second) + 1023) / 1024 * 1024
	}
	first := int(from / every)
	for i := first; ; i++ {
		at := time.Duration(float64(i) * float64(time.Second) / fps)
		if at >= to {
			return
		}
		for s.audio != nil {
			pts := time.Duration(sample * int64(time.Second) / rate)
			if pts >= at {
				break
			}
			s.sound(pts)
			sample += 1024
		}
		stamped := at
		if s.stamp != nil {
			stamped = s.stamp(at)
		}
		s.picture(stamped, stamped, i%max(keyEvery, 1) == 0)
	}
}

func (s *source) sound(pts time.Duration) {
	s.t.Helper()
	s.add(&frame.Frame{Track: s.audio, PTS: pts, DTS: pts, Payload: []byte("sound")})
}

// isSilence reports whether a sample is one of ours.
func isSilence(b []byte) bool { return string(b) != "sound" }

// parse reads all parts of a snapshot back with another library and checks that
// they say what the index says.
func parse(t testing.TB, s *Snapshot) []*fmp4.Sample {
	t.Helper()
	var samples []*fmp4.Sample
	next := uint64(0)
	for i, seg := range s.Segments {
		if i > 0 && seg.Number != s.Segments[i-1].Number+1 {
			t.Errorf("segment %d follows %d", seg.Number, s.Segments[i-1].Number)
		}
		if i > 0 && seg.Time != next && !seg.Discontinuity {
			t.Errorf("segment %d begins at %d, the one before ends at %d", seg.Number, seg.Time, next)
		}
		next = seg.Time
		size := 0
		for j, p := range seg.Parts {
			b := p.Bytes()
			size += len(b)
			if len(b) != p.Size || cap(b) != p.Size {
				t.Errorf("part %d/%d: %d bytes (capacity %d), index says %d", seg.Number, j, len(b), cap(b), p.Size)
			}
			var parts fmp4.Parts
			if err := parts.Unmarshal(b); err != nil || len(parts) != 1 || len(parts[0].Tracks) != 1 {
				t.Fatalf("part %d/%d: %v, %d fragments", seg.Number, j, err, len(parts))
			}
			track := parts[0].Tracks[0]
			if track.BaseTime != next || p.Time != next {
				t.Errorf("part %d/%d: tfdt %d, index %d; the sum of durations is %d", seg.Number, j, track.BaseTime, p.Time, next)
			}
			if len(track.Samples) != p.Frames {
				t.Errorf("part %d/%d: %d samples, index says %d", seg.Number, j, len(track.Samples), p.Frames)
			}
			for _, sm := range track.Samples {
				next += uint64(sm.Duration)
			}
			if p.Independent == track.Samples[0].IsNonSyncSample {
				t.Errorf("part %d/%d: independent is %t", seg.Number, j, p.Independent)
			}
			samples = append(samples, track.Samples...)
		}
		if size != seg.Size || next-seg.Time != seg.Ticks {
			t.Errorf("segment %d: %d bytes, %d ticks; index says %d, %d", seg.Number, size, next-seg.Time, seg.Size, seg.Ticks)
		}
	}
	return samples
}

// packaged is a hub, closed with the test, and its stream s1, which is packaged.
func packaged(t *testing.T, conv hub.Converter) (*Packager, *hub.Hub, *hub.Stream) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	p := New(Config{}, log)
	h := hub.New(hub.Config{Converter: conv}, log, p.Output)
	t.Cleanup(h.Close)
	stream, err := h.Open(hub.Spec{ID: "s1", IngestKey: "key", PlaybackID: "pb"})
	if err != nil {
		t.Fatal(err)
	}
	return p, h, stream
}
