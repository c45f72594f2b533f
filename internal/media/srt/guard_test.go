package srt

import (
	"bytes"
	"log/slog"
	"slices"
	"testing"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/serve"
	"glimpse/internal/media/serve/servetest"
)

func TestPlaces(t *testing.T) {
	r := newRig(t, Config{Limits: serve.Limits{PerAddr: 1}})
	r.Open("a", 0)
	first, err := Dial(t.Context(), r.url("publish:a-key"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if c, err := Dial(t.Context(), r.url("read:a-play"), Options{}); err == nil {
		_ = c.Close()
		t.Error("two connections where there is place for one")
	}
	_ = first.Close()
	servetest.Until(t, "a free place", func() bool {
		c, err := Dial(t.Context(), r.url("publish:a-key"), Options{})
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// strict is a sink that wants what the hub wants.
type strict struct {
	t        *testing.T
	expected bool
	pictures []time.Duration
}

func (s *strict) ExpectAudio()                { s.expected = true }
func (s *strict) SetTrack(*frame.Track) error { return nil }

func (s *strict) Video(pts, _ time.Duration, _ bool, payload []byte) error {
	if !codec.ValidAVCC(payload) {
		s.t.Errorf("a picture of % x", payload)
	}
	s.pictures = append(s.pictures, pts)
	return nil
}

func (s *strict) Audio(_ time.Duration, payload []byte) error {
	if len(payload) == 0 {
		s.t.Error("empty sound")
	}
	return nil
}

func FuzzDemuxer(f *testing.F) {
	pat := append([]byte{0x47, 0x40, 0, 0x10, 0, 0, 0xb0, 13, 0, 1, 0xc1, 0, 0, 0, 1, 0xf0, 0, 0, 0, 0, 0}, bytes.Repeat([]byte{0xff}, 167)...)
	pmt := append([]byte{0x47, 0x50, 0, 0x10, 0, 2, 0xb0, 23, 0, 1, 0xc1, 0, 0, 0xe1, 0, 0xf0, 0, 0x1b, 0xe1, 0, 0xf0, 0, 0x0f, 0xe1, 1, 0xf0, 0, 0, 0, 0, 0}, bytes.Repeat([]byte{0xff}, 157)...)
	pes := append([]byte{0x47, 0x41, 0, 0x10, 0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5, 0x21, 0, 1, 0, 1, 0, 0, 0, 1, 0x65}, bytes.Repeat([]byte{1}, 165)...)
	f.Add(slices.Concat(pat, pmt, pes, pes))
	f.Add(slices.Concat(pat[:100], pmt, pes))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newDemuxer(serve.Intake{Out: &strict{t: t}, Log: slog.New(slog.DiscardHandler)})
		for len(b) > 0 { // in pieces that are no whole packets
			n := min(len(b), 131)
			if d.write(b[:n]) != nil {
				return
			}
			b = b[n:]
		}
	})
}

func TestClock(t *testing.T) {
	const wrap = 1 << 33
	var c clock
	for i, tc := range []struct {
		ts   int64
		want time.Duration
	}{
		{wrap - 90000, wrap/90000*time.Second + time.Second*(wrap%90000)/90000 - time.Second},
		{wrap - 180000, wrap/90000*time.Second + time.Second*(wrap%90000)/90000 - 2*time.Second},
		{90000, wrap/90000*time.Second + time.Second*(wrap%90000)/90000 + time.Second},
		{wrap - 90000, wrap/90000*time.Second + time.Second*(wrap%90000)/90000 - time.Second},
	} {
		if got := c.unwrap(tc.ts); (got - tc.want).Abs() > time.Nanosecond {
			t.Errorf("%d: %v, want %v", i, got, tc.want)
		}
	}
}
