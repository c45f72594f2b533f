package transcode

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/flv"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

// reordered encodes pictures as OBS and x264 do by default: B-frames that others
// refer to; key frames at 0, 0.7 s and 2.1 s; variable frame rate.
func reordered(t testing.TB) []*frame.Frame {
	t.Helper()
	frames := demux(t, ffmpeg(t, nil,
		"-f", "lavfi", "-i", "testsrc2=size=320x240:rate=30", "-t", "3",
		"-vf", "select='not(between(n,40,50))'", "-vsync", "passthrough",
		"-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-b_strategy", "0", "-g", "300", "-sc_threshold", "0",
		"-force_key_frames", "0.7,2.1", "-f", "flv", "pipe:1"))
	for _, f := range frames {
		f.PTS += 100 * time.Microsecond // a timeline is finer than FLV's
		f.DTS += 100 * time.Microsecond
		f.Wall, f.Epoch = time.Unix(1000, 0).Add(f.PTS), 7
	}
	return frames
}

// shown are the times of pictures in the order in which they are shown.
func shown(frames []*frame.Frame, keys bool) []time.Duration {
	var pts []time.Duration
	for _, f := range frames {
		if f.Key || !keys {
			pts = append(pts, f.PTS)
		}
	}
	slices.Sort(pts)
	return pts
}

// decoded gives each picture in 16x12 grey pixels.
func decoded(t *testing.T, frames []*frame.Frame) []byte {
	t.Helper()
	var file bytes.Buffer
	w := flv.NewWriter(&file)
	for _, f := range frames {
		if err := w.WriteFrame(&frame.Frame{Track: f.Track, PTS: f.PTS + time.Second, DTS: f.DTS + time.Second, Key: f.Key, Payload: f.Payload}); err != nil {
			t.Fatal(err)
		}
	}
	return ffmpeg(t, file.Bytes(), "-f", "flv", "-i", "pipe:0", "-vsync", "passthrough", "-vf", "scale=16:12", "-pix_fmt", "gray", "-f", "rawvideo", "pipe:1")
}

// Pictures come back in the order in which they are shown, each with its own
// times, key frames where they were, and they look the same.
func TestStraighten(t *testing.T) {
	frames := reordered(t)
	if pts := shown(frames, false); slices.IsSortedFunc(frames, func(a, b *frame.Frame) int { return int(a.PTS - b.PTS) }) || len(pts) != 79 {
		t.Fatalf("the source has %d pictures, or none is reordered", len(pts))
	}
	tc := newTranscoder(t, Config{})
	src := make(feed, 1)
	src <- frames
	close(src)
	var got []*frame.Frame
	out := &pictureOutput{write: func(f *frame.Frame) { got = append(got, f) }, last: -1}
	if err := tc.straighten(t.Context(), src, out); err == nil || err.Error() != "EOF" {
		t.Fatal(err)
	}
	for _, keys := range []bool{false, true} {
		var order []time.Duration
		for _, f := range got {
			if f.Key || !keys {
				order = append(order, f.PTS)
			}
		}
		if want := shown(frames, keys); !slices.Equal(order, want) {
			t.Errorf("keys %t: times %v, want %v", keys, order, want)
		}
	}
	for _, f := range got {
		if f.DTS != f.PTS || f.Epoch != 7 || f.Wall != time.Unix(1000, 0).Add(f.PTS) {
			t.Fatalf("%+v", f)
		}
	}
	if c := got[0].Track.Codec.(*codec.H264); c.Reorder || c.SPS[1] != 66 || c.Width != 320 {
		t.Errorf("made %s, %d wide", c.MIME(), c.Width)
	}
	before, after := decoded(t, frames), decoded(t, got)
	if len(before) != len(after) {
		t.Fatalf("%d bytes of pictures became %d", len(before), len(after))
	}
	for n := 0; n < len(before); n += 16 * 12 {
		sum := 0
		for i := n; i < n+16*12; i++ {
			sum += max(int(before[i])-int(after[i]), int(after[i])-int(before[i]))
		}
		if sum > 16*12*4 {
			t.Errorf("picture %d differs by %d", n/16/12, sum/16/12)
		}
	}
	if s := tc.Stats(); s.Children != 0 || s.Failed != 0 {
		t.Errorf("%+v", s)
	}
}

// From a real hub: the first picture in order comes at once from the kept group;
// a child that dies is replaced, and times still rise; nothing is left.
func TestStraightOfARun(t *testing.T) {
	path, pids := noted(t)
	tc := newTranscoder(t, Config{Path: path})
	s, p := stream(t, tc)
	publish(t, p, reordered(t))
	begun := time.Now()
	run, release, err := s.Run().Straight()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	rd := run.Subscribe(hub.ReaderOptions{})
	defer rd.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	last := time.Duration(-1)
	next := func(want int) {
		t.Helper()
		for n := 0; n < want; {
			frames, err := rd.Next(ctx, nil)
			if err != nil {
				t.Fatalf("after %d pictures: %v", n, err)
			}
			for _, f := range frames {
				if f.PTS <= last {
					t.Fatalf("%v after %v", f.PTS, last)
				}
				last = f.PTS
			}
			n += len(frames)
		}
	}
	next(20) // of the 27 since the key frame at 2.1 s; the decoder keeps some
	t.Logf("first pictures after %v", time.Since(begun))
	killChild(t, pidOf(t, pids, 1))
	next(20)
	if s := tc.Stats(); s.Started != 2 || s.Failed != 1 {
		t.Errorf("%+v", s)
	}
}

// A viewer learns why there are no pictures in order.
func TestStraightWithoutFFmpeg(t *testing.T) {
	tc := newTranscoder(t, Config{Path: "/nonexistent/ffmpeg"})
	s, p := stream(t, tc)
	publish(t, p, reordered(t))
	if _, _, err := s.Run().Straight(); err == nil || !strings.Contains(err.Error(), "install ffmpeg") {
		t.Errorf("%v", err)
	}
}
