package cmaf

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

func TestLeadStandsBeforeTheFirstPicture(t *testing.T) { // players start at once
	s := newSource(t)
	s.audio = audioTrack(t, stereo48)
	s.m.setSource(s.audio)
	s.picture(0, 0, true)
	v, a := s.m.store.video.Snapshot(), s.m.store.audio.Snapshot()
	if len(v.Segments) != 1 || !v.Segments[0].Closed || !v.Segments[0].Lead || len(v.Segments[0].Parts) != 10 {
		t.Fatalf("video after the first key frame: %+v", v.Segments)
	}
	lead := v.Segments[0]
	if lead.Number != uint64(start.Unix()) {
		t.Errorf("first number %d, want Unix seconds %d", lead.Number, start.Unix())
	}
	if lead.Duration != 2*time.Second || lead.Time != 8*videoTimescale || !lead.Wall.Equal(start.Add(-2*time.Second)) {
		t.Errorf("lead: %v from %d at %v", lead.Duration, lead.Time, lead.Wall)
	}
	for i, p := range lead.Parts {
		if !p.Independent || p.Duration != 200*time.Millisecond {
			t.Errorf("lead part %d: independent %t, %v", i, p.Independent, p.Duration)
		}
	}
	if len(a.Segments) != 1 || len(a.Segments[0].Parts) < 10 {
		t.Fatalf("audio after the first key frame: %d segments", len(a.Segments))
	}
	if v.NextNumber != lead.Number+1 || v.NextPart != 0 {
		t.Errorf("next is %d/%d", v.NextNumber, v.NextPart)
	}
	pictures := parse(t, v)
	for i := range pictures[1:] {
		if bytes.Equal(pictures[i].Payload, pictures[i+1].Payload) {
			t.Error("neighbouring key frames are equal: a decoder may take them for one")
		}
	}
	// The live picture differs from the lead's last too.
	s.play(time.Second/30, 3*time.Second, 30, 2*time.Second)
	pictures = parse(t, s.m.store.video.Snapshot())
	if bytes.Equal(pictures[9].Payload, pictures[10].Payload) {
		t.Error("the lead's last key frame equals the first live one")
	}
	if got := s.m.store.video.Snapshot().Segments[1].Time; got != 10*videoTimescale {
		t.Errorf("first live picture at %d ticks, want 10 s", got)
	}
}

func TestPartsFitTheTarget(t *testing.T) { // parts >= 85 % of PART-TARGET except a segment's last
	ms := func(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
	for _, fps := range []float64{24, 25, 30000. / 1001, 30, 50, 60} {
		for _, config := range []string{stereo44, stereo48} {
			for name, stamp := range map[string]func(time.Duration) time.Duration{"exact": nil, "ms": ms} {
				t.Run(fmt.Sprintf("%.2f/%s/%s", fps, config, name), func(t *testing.T) {
					s := newSource(t)
					s.stamp, s.audio = stamp, audioTrack(t, config)
					s.m.setSource(s.audio)
					s.play(0, 20*time.Second, fps, 2*time.Second)
					for _, r := range []*Rendition{s.m.store.video, s.m.store.audio} {
						snap := r.Snapshot()
						parse(t, snap)
						for _, seg := range snap.Segments {
							for i, p := range seg.Parts {
								if p.Duration > PartTarget {
									t.Errorf("%v %d/%d lasts %v", r.kind, seg.Number, i, p.Duration)
								}
								last := seg.Closed && i == len(seg.Parts)-1
								if !last && p.Duration < PartTarget*85/100 {
									t.Errorf("%v %d/%d lasts only %v", r.kind, seg.Number, i, p.Duration)
								}
							}
						}
					}
				})
			}
		}
	}
}

func TestSegmentsBeginWithKeyFrames(t *testing.T) {
	for _, tc := range []struct {
		gop  time.Duration
		want time.Duration // of a segment
		key  bool
	}{
		{500 * time.Millisecond, 2 * time.Second, true},
		{time.Second, 2 * time.Second, true},
		{1800 * time.Millisecond, 1800 * time.Millisecond, true},
		{2 * time.Second, 2 * time.Second, true},
		{10 * time.Second, 10 * time.Second, true},
		{time.Hour, TargetDuration, false},
	} {
		s := newSource(t)
		s.play(0, 40*time.Second, 30, tc.gop)
		segments := s.m.store.video.Snapshot().Segments
		parse(t, s.m.store.video.Snapshot())
		for i, seg := range segments[1 : len(segments)-1] {
			if seg.Duration > tc.want || seg.Duration < tc.want-50*time.Millisecond {
				t.Errorf("gop %v: segment %d lasts %v, want %v", tc.gop, i, seg.Duration, tc.want)
			}
			if i > 0 && (seg.Key != tc.key || seg.Parts[0].Independent != tc.key) {
				t.Errorf("gop %v: segment %d begins with a key frame: %t", tc.gop, i, seg.Key)
			}
		}
	}
}

func TestSoundFollowsThePicture(t *testing.T) { // same numbers, at or after the cut
	s := newSource(t)
	s.audio = audioTrack(t, stereo44)
	s.m.setSource(s.audio)
	s.play(0, 30*time.Second, 30, 2*time.Second)
	v, a := s.m.store.video.Snapshot(), s.m.store.audio.Snapshot()
	parse(t, v)
	sounds := parse(t, a)
	for _, seg := range a.Segments[1:] {
		pic := v.Segment(seg.Number)
		if pic == nil {
			t.Fatalf("no picture segment %d", seg.Number)
		}
		d := duration(seg.Time, 44100) - duration(pic.Time, videoTimescale)
		if d < 0 || d > 24*time.Millisecond {
			t.Errorf("segment %d: sound begins %v after the picture", seg.Number, d)
		}
		if seg.Wall.Sub(pic.Wall)-d > time.Microsecond || seg.Discontinuity {
			t.Errorf("segment %d: wall clock %v against %v", seg.Number, seg.Wall, pic.Wall)
		}
	}
	if got, want := a.Segments[0].Number, v.Segments[0].Number; got != want {
		t.Errorf("windows begin at %d and %d", got, want)
	}
	silent := 0
	for _, sm := range sounds {
		if isSilence(sm.Payload) {
			silent++
		}
	}
	if silent != 87 { // the lead: 2 s of 1024/44100
		t.Errorf("%d frames of silence, want the lead's 87", silent)
	}
	if n := s.m.budget.dropped.Load(); n > 1 { // the first may overlap the lead's silence
		t.Errorf("%d frames were dropped", n)
	}
}

func TestSilence(t *testing.T) { // MEDIA T5: HLS carries silence until real sound comes
	t.Run("no sound", func(t *testing.T) {
		s := newSource(t)
		s.play(0, 10*time.Second, 30, 2*time.Second)
		v, a := s.m.store.video.Snapshot(), s.m.store.audio.Snapshot()
		parse(t, a)
		if a.NextNumber != v.NextNumber {
			t.Errorf("picture is at %d, sound at %d", v.NextNumber, a.NextNumber)
		}
		if end := duration(s.m.audio.time, 48000); s.m.front-end > 30*time.Millisecond {
			t.Errorf("sound ends %v before the picture", s.m.front-end)
		}
	})
	t.Run("sound comes later with other parameters", func(t *testing.T) {
		s := newSource(t)
		s.play(0, 5*time.Second, 30, 2*time.Second)
		s.audio = audioTrack(t, stereo44)
		s.play(5*time.Second, 12*time.Second, 30, 2*time.Second)
		v, a := s.m.store.video.Snapshot(), s.m.store.audio.Snapshot()
		parse(t, v)
		parse(t, a)
		for _, snap := range []*Snapshot{v, a} {
			for i, seg := range snap.Segments {
				if want := i == 4; seg.Discontinuity != want { // lead, 0, 2, 4, then 6 s
					t.Errorf("segment %d: discontinuity %t", i, seg.Discontinuity)
				}
			}
		}
		if a.Segments[3].Init == a.Segments[4].Init || a.Segments[4].Init.Timescale != 44100 {
			t.Error("the sound has no new init")
		}
		if v.Segments[3].Init != v.Segments[4].Init {
			t.Error("the picture has a new init")
		}
		for _, sm := range parse(t, &Snapshot{Segments: a.Segments[4:]}) {
			if isSilence(sm.Payload) {
				t.Error("silence where sound is")
			}
		}
	})
	t.Run("same parameters", func(t *testing.T) {
		s := newSource(t)
		s.play(0, 5*time.Second, 30, 2*time.Second)
		s.audio = audioTrack(t, stereo48)
		s.play(5*time.Second, 12*time.Second, 30, 2*time.Second)
		for _, seg := range s.m.store.audio.Snapshot().Segments {
			if seg.Discontinuity {
				t.Error("a discontinuity without a reason")
			}
		}
		parse(t, s.m.store.audio.Snapshot())
	})
	t.Run("sound stops and returns", func(t *testing.T) {
		s := newSource(t)
		s.audio = audioTrack(t, mono48)
		s.m.setSource(s.audio)
		s.play(0, 5*time.Second, 30, 2*time.Second)
		track := s.audio
		s.audio = nil
		s.play(5*time.Second, 8*time.Second, 30, 2*time.Second)
		if end := duration(s.m.audio.time, 48000); s.m.front-end > 30*time.Millisecond {
			t.Errorf("sound ends %v before the picture", s.m.front-end)
		}
		s.audio = track
		s.play(8*time.Second, 12*time.Second, 30, 2*time.Second)
		sounds := parse(t, s.m.store.audio.Snapshot())
		silent := 0
		for _, sm := range sounds {
			if isSilence(sm.Payload) {
				silent++
			}
		}
		if want := (94 + 141); silent < want-2 || silent > want+2 {
			t.Errorf("%d frames of silence, want about %d", silent, want)
		}
	})
	t.Run("a short gap", func(t *testing.T) {
		s := newSource(t)
		s.audio = audioTrack(t, stereo48)
		s.m.setSource(s.audio)
		s.play(0, 3*time.Second, 30, 2*time.Second)
		track := s.audio
		s.audio = nil
		s.play(3*time.Second, 3200*time.Millisecond, 30, 2*time.Second)
		s.audio = track
		s.play(3200*time.Millisecond, 6*time.Second, 30, 2*time.Second)
		for _, sm := range parse(t, s.m.store.audio.Snapshot()) {
			if sm.Duration >= 2048 {
				t.Errorf("a sound frame of %d samples: players would hear a hole", sm.Duration)
			}
		}
	})
}

func TestParameterChange(t *testing.T) { // new init and DISCONTINUITY in both
	s := newSource(t)
	s.audio = audioTrack(t, stereo48)
	s.m.setSource(s.audio)
	s.play(0, 3*time.Second, 30, time.Second)
	s.video = videoTrack(t, 0)
	s.play(3*time.Second, 6*time.Second, 30, time.Second) // a key frame 1 s into a segment
	v, a := s.m.store.video.Snapshot(), s.m.store.audio.Snapshot()
	parse(t, v)
	parse(t, a)
	for i, seg := range v.Segments {
		if want := i == 3; seg.Discontinuity != want || a.Segments[i].Discontinuity != want {
			t.Errorf("segment %d: discontinuity %t, %t; want %t", i, seg.Discontinuity, a.Segments[i].Discontinuity, want)
		}
	}
	if v.Segments[2].Duration != time.Second || v.Segments[3].Init.Number != 1 || v.Segments[3].Init.Codec != s.video.Codec {
		t.Errorf("segment 2 lasts %v, segment 3 has init %d", v.Segments[2].Duration, v.Segments[3].Init.Number)
	}
	if a.Segments[3].Init.Number != 0 {
		t.Error("the sound has a new init too")
	}
	if v.Init(0) == nil || v.Init(1) == nil || v.Init(2) != nil {
		t.Error("inits cannot be found")
	}
}

func TestTakeoverWithOtherParameters(t *testing.T) { // one discontinuity, and sound at once
	s := newSource(t)
	s.audio = audioTrack(t, stereo48)
	s.m.setSource(s.audio)
	s.play(0, 5*time.Second, 30, 2*time.Second)
	s.video, s.audio = videoTrack(t, 0), audioTrack(t, stereo44)
	s.picture(5*time.Second, 5*time.Second, true)
	s.play(5*time.Second+time.Second/30, 8*time.Second, 30, 2*time.Second)
	v, a := s.m.store.video.Snapshot(), s.m.store.audio.Snapshot()
	parse(t, v)
	parse(t, a)
	for i, seg := range v.Segments {
		if want := i == 4; seg.Discontinuity != want || a.Segments[i].Discontinuity != want {
			t.Errorf("segment %d: discontinuity %t, %t; want %t", i, seg.Discontinuity, a.Segments[i].Discontinuity, want)
		}
	}
	if seg := a.Segments[4]; seg.Init.Timescale != 44100 || seg.Discontinuities != 1 || v.Segments[4].Discontinuities != 1 {
		t.Errorf("after the takeover: %d Hz, %d discontinuities", seg.Init.Timescale, seg.Discontinuities)
	}
	for i, sm := range parse(t, &Snapshot{Segments: a.Segments[4:]}) {
		if i > 3 && isSilence(sm.Payload) {
			t.Errorf("sound frame %d is silence", i)
		}
	}
}

func TestHole(t *testing.T) { // DISCONTINUITY when frame.Discontinuity
	for _, withSound := range []bool{true, false} {
		s := newSource(t)
		if withSound {
			s.audio = audioTrack(t, stereo48)
			s.m.setSource(s.audio)
		}
		s.play(0, 3*time.Second, 30, time.Second)
		s.add(&frame.Frame{Track: s.video, PTS: 8 * time.Second, DTS: 8 * time.Second, Key: true, Discontinuity: true, Payload: payload(100, true)})
		s.play(8*time.Second+time.Second/30, 12*time.Second, 30, time.Second)
		v, a := s.m.store.video.Snapshot(), s.m.store.audio.Snapshot()
		parse(t, v)
		parse(t, a)
		for i, seg := range v.Segments {
			other := a.Segments[i]
			if want := i == 3; seg.Discontinuity != want || other.Discontinuity != want {
				t.Errorf("segment %d: discontinuity %t, %t; want %t", i, seg.Discontinuity, other.Discontinuity, want)
			}
			if d := other.Duration - seg.Duration; other.Closed && (d > 25*time.Millisecond || d < -25*time.Millisecond) {
				t.Errorf("segment %d: picture %v, sound %v", i, seg.Duration, other.Duration)
			}
		}
		if v.Segments[3].Time != 18*videoTimescale {
			t.Errorf("the segment after the hole begins at %d", v.Segments[3].Time)
		}
		if got := v.Segments[3].Wall; !got.Equal(start.Add(8 * time.Second)) {
			t.Errorf("wall clock after the hole is %v", got)
		}
	}
}

func TestLostFramesAreADiscontinuity(t *testing.T) {
	s := newSource(t)
	s.play(0, 3*time.Second, 30, time.Second)
	s.m.lost()
	s.play(5*time.Second, 7*time.Second, 30, time.Second)
	segments := s.m.store.video.Snapshot().Segments
	if last := segments[len(segments)-1]; !last.Discontinuity || last.Time != 15*videoTimescale {
		t.Errorf("the segment after the loss: discontinuity %t at %d", last.Discontinuity, last.Time)
	}
	parse(t, s.m.store.video.Snapshot())
}

func TestReorderedPictures(t *testing.T) { // B-frames: offsets are the source's own, never negative
	s := newSource(t)
	s.audio = audioTrack(t, stereo48)
	s.m.setSource(s.audio)
	s.video = videoTrack(t, 0)
	const step, delay = 40 * time.Millisecond, 80 * time.Millisecond
	sample := time.Duration(0)
	for g := range 10 {
		for i := range 51 {
			dts := time.Duration(g*51+i) * step
			shown := 2 + i
			if i > 0 && i <= 48 {
				shown = 2 + (i-1)/3*3 + [3]int{3, 1, 2}[(i-1)%3]
			}
			for ; sample < dts; sample += 1024 * time.Second / 48000 {
				s.sound(sample)
			}
			s.picture(time.Duration(g*51+shown)*step, dts, i == 0)
		}
	}
	v := s.m.store.video.Snapshot()
	for i, seg := range v.Segments {
		for j, sm := range parse(t, &Snapshot{Segments: []*Segment{seg}}) {
			if sm.PTSOffset < 0 {
				t.Fatalf("segment %d, picture %d: offset %d", seg.Number, j, sm.PTSOffset)
			}
			if (seg.Lead || j == 0) && sm.PTSOffset != int32(ticks(delay, videoTimescale)) {
				t.Errorf("segment %d, picture %d: shown %d ticks after its decoding time", seg.Number, j, sm.PTSOffset)
			}
		}
		if want := ticks(firstPicture-delay, videoTimescale); i == 1 && seg.Time != want {
			t.Errorf("the first live segment begins at %d, want %d", seg.Time, want)
		}
		// The first picture came at 80 ms and is shown at 10 s; so all the line.
		want := start.Add(duration(seg.Time, videoTimescale) - firstPicture + delay)
		if d := seg.Wall.Sub(want); d < -time.Millisecond || d > time.Millisecond {
			t.Errorf("segment %d: wall clock off by %v", seg.Number, d)
		}
		if d := seg.Wall.Sub(s.m.store.Origin().Add(duration(seg.Time, videoTimescale))); d < -time.Millisecond || d > time.Millisecond {
			t.Errorf("segment %d: by the store's origin it begins %v earlier", seg.Number, d)
		}
	}
	parse(t, v)
	a := s.m.store.audio.Snapshot()
	parse(t, a)
	for i, seg := range a.Segments {
		if d := duration(seg.Time, 48000) - duration(v.Segments[i].Time, videoTimescale); d < -time.Millisecond || d > 22*time.Millisecond {
			t.Errorf("segment %d: sound begins %v after the pictures", seg.Number, d)
		}
		want := start.Add(duration(seg.Time, 48000) - firstPicture + delay)
		if d := seg.Wall.Sub(want); d < -time.Millisecond || d > time.Millisecond {
			t.Errorf("segment %d: the sound's wall clock is off by %v", seg.Number, d)
		}
	}
}

// A source that says nonsense of its first key frame stays in bounds.
func TestAbsurdReordering(t *testing.T) {
	for _, cts := range []time.Duration{-time.Hour, -40 * time.Millisecond, 20 * time.Second, 2 * time.Hour} {
		s := newSource(t)
		s.audio = audioTrack(t, stereo48)
		s.m.setSource(s.audio)
		for i := range 300 {
			at := time.Duration(i) * 40 * time.Millisecond
			s.sound(at)
			s.picture(at+cts, at, i%50 == 0)
		}
		v := s.m.store.video.Snapshot()
		parse(t, v)
		parse(t, s.m.store.audio.Snapshot())
		if n := len(v.Segments); n != 7 {
			t.Errorf("%v: %d segments, want the lead and six", cts, n)
		}
	}
}

func TestWindow(t *testing.T) { // trimmed by number, both together
	s := newSource(t)
	s.audio = audioTrack(t, stereo48)
	s.m.setSource(s.audio)
	for from := time.Duration(0); from < 90*time.Second; from += 100 * time.Millisecond {
		s.play(from, from+100*time.Millisecond, 30, 2*time.Second)
		v, a := s.m.store.video.Snapshot(), s.m.store.audio.Snapshot()
		if v.Segments[0].Number != a.Segments[0].Number {
			t.Fatalf("at %v the windows begin at %d and %d", from, v.Segments[0].Number, a.Segments[0].Number)
		}
	}
	v := s.m.store.video.Snapshot()
	if n := len(v.Segments); n < 30 || n > 32 {
		t.Errorf("%d segments of 2 s in a window of 60 s", n)
	}
	if got := s.m.budget.used.Load(); got != s.m.video.bytes+s.m.audio.bytes {
		t.Errorf("the node counts %d bytes, the store %d", got, s.m.video.bytes+s.m.audio.bytes)
	}
	sum := 0
	for _, snap := range []*Snapshot{v, s.m.store.audio.Snapshot()} {
		for _, seg := range snap.Segments {
			sum += seg.Size
		}
	}
	if int64(sum) != s.m.budget.used.Load() {
		t.Errorf("%d bytes are listed, %d counted", sum, s.m.budget.used.Load())
	}
	if v.Segment(v.Segments[0].Number-1) != nil || v.Segment(v.NextNumber+1) != nil {
		t.Error("segments outside the window can be found")
	}
}

func TestByteLimits(t *testing.T) {
	t.Run("stream", func(t *testing.T) {
		s := newSource(t)
		s.size, s.m.bytes = 10_000, 3_000_000 // 600 kB a segment
		told := 0
		s.m.early = func(n int) { told += n }
		s.play(0, 40*time.Second, 30, 2*time.Second)
		if got := s.m.video.bytes + s.m.audio.bytes; got > s.m.bytes+700_000 || got < s.m.bytes/2 {
			t.Errorf("%d bytes are kept, limit %d", got, s.m.bytes)
		}
		if n := s.m.budget.shrunk.Load(); n == 0 || int(n) != told {
			t.Errorf("%d segments counted, %d told", n, told)
		}
	})
	t.Run("node", func(t *testing.T) { // the largest streams give way
		small, large := newSource(t), newSource(t)
		b := &budget{limit: 4_000_000}
		b.stores.Store(2)
		small.m.budget, large.m.budget = b, b
		small.size, large.size = 1_000, 10_000
		for from := time.Duration(0); from < 50*time.Second; from += time.Second {
			small.play(from, from+time.Second, 30, 2*time.Second)
			large.play(from, from+time.Second, 30, 2*time.Second)
		}
		if got := b.used.Load(); got > b.limit+700_000 {
			t.Errorf("%d bytes are kept, limit %d", got, b.limit)
		}
		if n := len(small.m.store.video.Snapshot().Segments); n < 25 {
			t.Errorf("the small stream has only %d segments left", n)
		}
		if n := len(large.m.store.video.Snapshot().Segments); n > 12 {
			t.Errorf("the large stream has %d segments", n)
		}
	})
	t.Run("two segments always stay", func(t *testing.T) {
		s := newSource(t)
		s.m.bytes = 30_000
		s.play(0, 20*time.Second, 30, 2*time.Second)
		if n := len(s.m.store.video.Snapshot().Segments); n != 3 {
			t.Errorf("%d segments, want two closed and the open one", n)
		}
	})
}

func TestWhatDoesNotMoveIsBounded(t *testing.T) {
	t.Run("pictures of one time", func(t *testing.T) {
		s := newSource(t)
		s.size, s.m.bytes = 100_000, 8_000_000
		s.picture(0, 0, true)
		for i := range 3000 {
			at := time.Second + time.Duration(i)*time.Microsecond
			s.picture(at, at, i%200 == 0)
		}
		if got := s.m.video.bytes + s.m.video.growing(); got > 4*s.m.bytes {
			t.Errorf("%d bytes are kept, limit %d", got, s.m.bytes)
		}
	})
	t.Run("sound alone", func(t *testing.T) {
		s := newSource(t)
		s.audio = audioTrack(t, stereo48)
		s.m.setSource(s.audio)
		s.play(0, 3*time.Second, 30, 2*time.Second)
		for pts := 3 * time.Second; pts < 60*time.Second; pts += 1024 * time.Second / 48000 {
			s.sound(pts)
		}
		for _, seg := range s.m.store.audio.Snapshot().Segments {
			if seg.Duration > TargetDuration {
				t.Errorf("segment %d lasts %v", seg.Number, seg.Duration)
			}
		}
		if s.m.budget.dropped.Load() == 0 {
			t.Error("drops are not counted")
		}
		if len(s.m.sound.held) > maxHeld {
			t.Errorf("%d frames are held", len(s.m.sound.held))
		}
	})
}

func TestOtherCodecs(t *testing.T) {
	s := newSource(t)
	s.audio = &frame.Track{Codec: &codec.Opus{Channels: 2}}
	s.m.setSource(s.audio)
	s.picture(0, 0, true)
	for i := range 100 {
		at := time.Duration(i) * 20 * time.Millisecond
		s.picture(at+time.Millisecond, at+time.Millisecond, false)
		s.sound(at)
	}
	heard := 0
	for _, sm := range parse(t, s.m.store.audio.Snapshot()) {
		if !isSilence(sm.Payload) {
			heard++
		} else if string(sm.Payload) != "\xfc\xff\xfe" {
			t.Fatalf("%x in an Opus track", sm.Payload)
		}
	}
	if heard < 80 {
		t.Errorf("%d packets of 100 are there", heard)
	}
	seg := s.m.store.audio.Snapshot().Segments[0]
	if seg.Init.Codec.Name() != "Opus" || seg.Parts[0].Frames != 10 {
		t.Errorf("the lead has %d packets of %s in its first part", seg.Parts[0].Frames, seg.Init.Codec.Name())
	}
	if err := s.m.frame(&frame.Frame{Track: &frame.Track{Codec: noVideo{}}, Key: true}); err == nil {
		t.Error("a codec that cannot be carried is accepted")
	}
}

type noVideo struct{}

func (noVideo) Kind() frame.Kind { return frame.Video }
func (noVideo) Name() string     { return "none" }
func (noVideo) MIME() string     { return "none" }

func (noVideo) Size() (width, height int)    { return 320, 180 }
func (noVideo) FrameRate() float64           { return 0 }
func (noVideo) IsKey([]byte) bool            { return true }
func (noVideo) InBand(payload []byte) []byte { return payload }

// hints checks that the part which a snapshot promised came next.
type hints map[*Rendition]*Snapshot

func (h hints) check(t *testing.T, r *Rendition) {
	t.Helper()
	before, now := h[r], r.Snapshot()
	h[r] = now
	if before == nil || before == now || len(before.Segments) == 0 {
		return
	}
	seg := now.Segment(before.NextNumber)
	if now.NextNumber == before.NextNumber && now.NextPart == before.NextPart {
		return // the window was trimmed
	}
	if seg == nil || len(seg.Parts) <= before.NextPart {
		t.Errorf("%v: part %d/%d was promised and did not come", r.kind, before.NextNumber, before.NextPart)
	}
}

// Whatever times come, the index stays consistent, both tracks share numbers and
// every promise is kept.
func TestAnyTimes(t *testing.T) {
	for seed := range uint64(16) {
		rng := rand.New(rand.NewPCG(seed, 2))
		s := newSource(t)
		tracks := []*frame.Track{audioTrack(t, stereo48), audioTrack(t, stereo44), audioTrack(t, mono48)}
		s.audio = tracks[0]
		pictures, sounds := time.Duration(0), time.Duration(0)
		promised := hints{}
		for range 3000 {
			promised.check(t, s.m.store.video)
			promised.check(t, s.m.store.audio)
			switch rng.IntN(12) {
			case 0:
				s.audio = tracks[rng.IntN(3)]
			case 1:
				s.video = videoTrack(t, rng.IntN(2))
			case 2, 3, 4, 5:
				s.sound(sounds)
				sounds += time.Duration(rng.IntN(60)) * time.Millisecond
				if rng.IntN(40) == 0 {
					sounds = pictures + time.Duration(rng.IntN(2000)-1000)*time.Millisecond
				}
			default:
				key := rng.IntN(20) == 0
				f := &frame.Frame{Track: s.video, DTS: pictures, PTS: pictures + time.Duration(rng.IntN(80))*time.Millisecond, Key: key, Payload: payload(40, key)}
				f.Discontinuity = key && rng.IntN(5) == 0
				s.add(f)
				pictures += time.Duration(rng.IntN(80)) * time.Millisecond
				if rng.IntN(200) == 0 {
					pictures += time.Duration(rng.IntN(20)) * time.Second
				}
			}
		}
		v, a := s.m.store.video.Snapshot(), s.m.store.audio.Snapshot()
		parse(t, v)
		parse(t, a)
		if len(v.Segments) == 0 {
			continue
		}
		for _, seg := range a.Segments {
			if pic := v.Segment(seg.Number); pic == nil || pic.Discontinuity != seg.Discontinuity || pic.Discontinuities != seg.Discontinuities {
				t.Fatalf("seed %d: segment %d differs between the tracks", seed, seg.Number)
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
