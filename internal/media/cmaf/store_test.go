package cmaf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

func TestInit(t *testing.T) {
	video, audio := videoTrack(t, 0).Codec, audioTrack(t, stereo44).Codec
	init, err := newInit(0, video)
	if err != nil {
		t.Fatal(err)
	}
	var got fmp4.Init
	if err := got.Unmarshal(bytes.NewReader(init.Bytes)); err != nil {
		t.Fatal(err)
	}
	h, ok := got.Tracks[0].Codec.(*codecs.H264)
	if !ok || !bytes.Equal(h.SPS, video.(*codec.H264).SPS) || got.Tracks[0].TimeScale != 90000 || got.Tracks[0].ID != 1 {
		t.Errorf("video init: %+v", got.Tracks[0])
	}
	if init, err = newInit(0, audio); err != nil {
		t.Fatal(err)
	}
	got = fmp4.Init{}
	if err := got.Unmarshal(bytes.NewReader(init.Bytes)); err != nil {
		t.Fatal(err)
	}
	if _, ok := got.Tracks[0].Codec.(*codecs.MPEG4Audio); !ok || got.Tracks[0].TimeScale != 44100 {
		t.Errorf("audio init: %+v", got.Tracks[0])
	}
	if init, err := newInit(0, &codec.Opus{Channels: 2}); err != nil || init.Timescale != codec.OpusRate {
		t.Errorf("Opus: %v", err)
	}
	if _, err := newInit(0, strange{}); err == nil {
		t.Error("an init for what MP4 does not carry")
	}
}

// strange is a codec that nothing is known of.
type strange struct{ frame.Codec }

func (strange) Name() string { return "strange" }

func TestTicks(t *testing.T) {
	for _, rate := range []uint32{90000, 48000, 44100, 7350} {
		for _, n := range []uint64{0, 1, 1024, 90001, 1e12} {
			if got := ticks(duration(n, rate), rate); got != n {
				t.Errorf("%d ticks at %d Hz become %d", n, rate, got)
			}
		}
	}
	if got := ticks(100*365*24*time.Hour, 90000); got != 100*365*24*3600*90000 {
		t.Errorf("far times overflow: %d", got)
	}
	if ticks(-time.Second, 90000) != 0 {
		t.Error("negative ticks")
	}
}

func TestWait(t *testing.T) { // a waiting request is a channel closed per part
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		s.play(0, 3*time.Second, 30, 2*time.Second)
		r := s.m.store.Video()
		snap := r.Snapshot()
		next, part := snap.NextNumber, snap.NextPart

		type result struct {
			s   *Snapshot
			err error
		}
		wait := func(ctx context.Context, number uint64, part int) chan result {
			c := make(chan result, 1)
			go func() {
				s, err := r.Wait(ctx, number, part)
				c <- result{s, err}
			}()
			synctest.Wait()
			return c
		}
		pending := func(name string, c chan result, want bool) {
			t.Helper()
			synctest.Wait()
			if got := len(c) == 0; got != want {
				t.Errorf("%s: waits %t, want %t", name, got, want)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		thisPart := wait(ctx, next, part)
		beyond := wait(ctx, next, 9) // the segment ends with part 9
		past := wait(ctx, next, 10)  // that is the next segment's first
		whole := wait(ctx, next, -1)
		old := wait(ctx, next-1, -1)
		gone, leave := context.WithCancel(context.Background())
		left := wait(gone, next+1, 5)
		pending("a part that is here", old, false)
		pending("the next part", thisPart, true)
		leave()
		if got := <-left; !errors.Is(got.err, context.Canceled) || got.s == nil {
			t.Errorf("a waiter whose context ended got %v", got.err)
		}
		s.play(3*time.Second, 3300*time.Millisecond, 30, 2*time.Second)
		pending("the next part, which came", thisPart, false)
		pending("a later part", beyond, true)
		s.play(3300*time.Millisecond, 4050*time.Millisecond, 30, 2*time.Second)
		pending("the segment's last part", beyond, false)
		pending("the whole segment", whole, false)
		pending("past the last part", past, true)
		s.play(4050*time.Millisecond, 4300*time.Millisecond, 30, 2*time.Second)
		pending("past the last part, when the next segment began", past, false)
		ended := wait(ctx, next+1, 5)
		s.m.store.end()
		if got := <-ended; !errors.Is(got.err, ErrEnded) {
			t.Errorf("a waiter at the end of the run got %v", got.err)
		}
		s.m.store.end() // again
	})
}

func TestNames(t *testing.T) {
	s := newStore("abc123")
	for _, tc := range []struct {
		name string
		want File
	}{
		{string(s.video.AppendInit(nil, 3)), File{Kind: FileInit, Rendition: s.video, Number: 3}},
		{string(s.audio.AppendSegment(nil, 1795222786)), File{Kind: FileSegment, Rendition: s.audio, Number: 1795222786}},
		{string(s.video.AppendPart(nil, 1795222786, 12)), File{Kind: FilePart, Rendition: s.video, Number: 1795222786, Part: 12}},
	} {
		if got, ok := s.ParseName(tc.name); !ok || got != tc.want {
			t.Errorf("%s: %+v, %t", tc.name, got, ok)
		}
	}
	for _, name := range []string{
		"", "abc123", "abc123-v-1", "other0-v-1.m4s", "abc123-x-1.m4s", "abc123-v-01.m4s", "abc123-v-+1.m4s",
		"abc123-v--1.m4s", "abc123-v-1-.m4s", "abc123-v-1-2-3.m4s", "abc123-v-i1.m4s", "abc123-v-1.mp4",
		"abc123-v-99999999999999999999.m4s", "abc123-v-1-4294967296.m4s", "abc123-v-i-1.mp4", "abc123-v-i.mp4",
	} {
		if f, ok := s.ParseName(name); ok {
			t.Errorf("%q is taken for %+v", name, f)
		}
	}
}

func FuzzParseName(f *testing.F) {
	s := newStore("abc123")
	for _, seed := range []string{"abc123-v-i0.mp4", "abc123-a-17.m4s", "abc123-v-17-3.m4s", "abc123-v-", "abc123"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		file, ok := s.ParseName(name)
		if !ok {
			return
		}
		var again []byte // a file has one name
		switch file.Kind {
		case FileInit:
			again = file.Rendition.AppendInit(nil, int(file.Number))
		case FileSegment:
			again = file.Rendition.AppendSegment(nil, file.Number)
		case FilePart:
			again = file.Rendition.AppendPart(nil, file.Number, file.Part)
		}
		if string(again) != name {
			t.Errorf("%q is the same file as %q", name, again)
		}
	})
}

func TestDeriveOnce(t *testing.T) {
	s := newSource(t)
	s.picture(0, 0, true)
	snap := s.m.store.Video().Snapshot()
	type key struct{}
	n := 0
	for range 3 {
		if got := snap.Derive(key{}, func(*Snapshot) any { n++; return fmt.Sprint(n) }); got != "1" {
			t.Errorf("got %v", got)
		}
	}
}

func TestBandwidthAndFrameRate(t *testing.T) {
	s := newSource(t)
	s.size = 10_000
	s.picture(0, 0, true)
	if snap := s.m.store.Video().Snapshot(); snap.Bandwidth() != 0 || snap.FrameRate() != 0 {
		t.Errorf("the lead counts: %d, %g", snap.Bandwidth(), snap.FrameRate())
	}
	s.play(time.Second/30, 5*time.Second, 30, 2*time.Second)
	snap := s.m.store.Video().Snapshot()
	if got := snap.Bandwidth(); got < 2_400_000 || got > 2_450_000 {
		t.Errorf("%d bit/s of 2.4 Mbit/s", got)
	}
	if got := snap.FrameRate(); got < 29.99 || got > 30.01 {
		t.Errorf("%g pictures a second", got)
	}
}

func TestBytesAreShared(t *testing.T) { // joined once, whoever asks
	s := newSource(t)
	s.play(0, time.Second, 30, 2*time.Second)
	part := s.m.store.Video().Snapshot().Segments[1].Parts[0]
	got := make(chan []byte)
	for range 8 {
		go func() { got <- part.Bytes() }()
	}
	first := <-got
	for range 7 {
		if b := <-got; &b[0] != &first[0] {
			t.Error("two readers got different copies")
		}
	}
}
