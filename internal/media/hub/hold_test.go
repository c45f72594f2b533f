package hub

import (
	"bytes"
	"context"
	"encoding/hex"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

// realTrack is 1280x720 of constrained baseline, whose pictures realKey and
// realSlice are as far as their headers go.
func realTrack(t *testing.T) *frame.Track {
	t.Helper()
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	c, err := codec.NewH264(unhex("6742c01fda014016e9b808080a000003000200000300791e306540"), unhex("68ce3c80"))
	if err != nil {
		t.Fatal(err)
	}
	return &frame.Track{Codec: c}
}

var (
	realKey   = []byte{0, 0, 0, 5, 0x65, 0x88, 0x84, 0x3a, 0xff}
	realSlice = []byte{0, 0, 0, 5, 0x41, 0x9a, 0x22, 0x80, 0x80}
	realIntra = []byte{0, 0, 0, 5, 0x61, 0x88, 0x83, 0xfa, 0xff}
)

// script plays a publisher's frames and keeps what a reader gets.
type script struct {
	*bench
	track *frame.Track
	rd    *Reader
	got   []*frame.Frame
}

func newScript(t *testing.T) *script {
	return &script{bench: newBench(t, Config{}, Spec{ResumeWindow: time.Minute}), track: realTrack(t)}
}

func (s *script) connect() *Publisher {
	s.t.Helper()
	p := s.publisher()
	video, audio := *s.track, *audioTrack // others with the same parameters
	for _, t := range []*frame.Track{&video, &audio} {
		if err := p.SetTrack(t); err != nil {
			s.t.Fatal(err)
		}
	}
	return p
}

// play publishes d of 25 pictures a second with sound, a key frame first, shown
// cts after they are decoded.
func (s *script) play(p *Publisher, from, d, cts time.Duration) {
	s.t.Helper()
	sounds := time.Duration(0)
	for at := time.Duration(0); at < d; at += 40 * time.Millisecond {
		payload := realSlice
		if at == 0 {
			payload = realKey
		}
		if err := p.Video(from+at+cts, from+at, at == 0, payload); err != nil {
			s.t.Fatal(err)
		}
		for ; sounds*1024*time.Second/44100 < at+40*time.Millisecond; sounds++ {
			if err := p.Audio((from + sounds*1024*time.Second/44100).Round(time.Millisecond), aac); err != nil {
				s.t.Fatal(err)
			}
		}
		time.Sleep(40 * time.Millisecond)
		s.read()
	}
}

func (s *script) read() {
	if s.rd == nil {
		s.rd = s.stream.Run().Subscribe(ReaderOptions{})
	}
	s.got = append(s.got, drain(s.rd)...)
}

// wait lets time pass for a reader that follows.
func (s *script) wait(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		s.read()
	}
}

func (s *script) close() {
	s.rd.Close()
	s.hub.Close()
}

// check looks at everything a reader got: without loss or discontinuity, times
// that rise, no gap longer than the longest, sound without one.
func (s *script) check(longest time.Duration) (held, live int) {
	s.t.Helper()
	if n := s.rd.Dropped(); n > 0 {
		s.t.Errorf("the reader lost %d frames", n)
	}
	var last, sound *frame.Frame
	shown := time.Duration(-1)
	tracks := map[*frame.Track]bool{}
	for i, f := range s.got {
		if tracks[f.Track] = true; len(tracks) > 2 {
			s.t.Fatal("the same parameters are told as new ones")
		}
		if f.Discontinuity {
			s.t.Errorf("frame %d is a discontinuity", i)
		}
		if !f.IsVideo() {
			if exact := 1024 * time.Second / 44100; sound != nil && (f.PTS-sound.PTS-exact).Abs() > maxAudioDrift {
				s.t.Errorf("sound at %v after %v (hold: %v, %v)", f.PTS, sound.PTS, sound.Hold, f.Hold)
			}
			sound = f
			continue
		}
		if last != nil && (f.DTS <= last.DTS || f.DTS-last.DTS > longest) {
			s.t.Errorf("a picture at %v after %v (hold: %v, %v)", f.DTS, last.DTS, last.Hold, f.Hold)
		}
		if f.PTS <= shown {
			s.t.Errorf("a picture is shown at %v after one at %v", f.PTS, shown)
		}
		if last != nil && f.Hold != last.Hold && !f.Key {
			s.t.Errorf("no key frame where the hold begins or ends, at %v", f.DTS)
		}
		last, shown = f, f.PTS
		if f.Hold {
			held++
		} else {
			live++
		}
	}
	return held, live
}

// FAULTS F1, MEDIA H1, H2: while the publisher is away its last key frame is
// shown, every 2 s as itself and every 200 ms as a skipped picture, with silence;
// with its return the stream goes on, nothing is a discontinuity.
func TestHold(t *testing.T) {
	for _, test := range []struct {
		name          string
		away          time.Duration
		before, after time.Duration // composition offsets
	}{
		{"3 s", 3 * time.Second, 0, 0},
		{"20 s", 20 * time.Second, 0, 0},
		{"59 s", 59 * time.Second, 0, 0},
		{"50 ms", 50 * time.Millisecond, 0, 0},
		{"with B pictures", 3 * time.Second, 80 * time.Millisecond, 80 * time.Millisecond},
		{"back without them", 3 * time.Second, 80 * time.Millisecond, 0},
		{"back with them", 3 * time.Second, 0, 80 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(t)
				p := s.connect()
				s.play(p, time.Hour, 1500*time.Millisecond, test.before)
				p.Close()
				s.wait(test.away)
				p = s.connect()
				if err := p.Video(0, 0, false, realSlice); err != nil { // before its key frame
					t.Fatal(err)
				}
				s.play(p, 99*time.Hour, 1500*time.Millisecond, test.after)
				held, live := s.check(stillStep + 40*time.Millisecond + test.before)
				if want := int((test.away - 40*time.Millisecond) / stillStep); held < want || held > want+2 {
					t.Errorf("%d pictures in a hold of %v", held, test.away)
				}
				if live != 76 { // 38 each
					t.Errorf("%d live pictures", live)
				}
				last := s.got[len(s.got)-1]
				if behind := time.Since(last.Wall); behind.Abs() > 100*time.Millisecond+test.before {
					t.Errorf("after the return the newest frame is %v old", behind)
				}
				s.wantEvents(EventLive, EventInterrupted, EventResumed)
				s.close()
				p.Close()
			})
		})
	}
}

// The pictures of a hold: a key frame first and every 2 s, small ones between.
func TestHoldCadence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		p := s.connect()
		s.play(p, 0, time.Second, 0)
		p.Close()
		s.wait(6 * time.Second)
		n := 0
		for _, f := range s.got {
			switch {
			case !f.Hold:
				continue
			case !f.IsVideo():
				if !bytes.Equal(f.Payload, audioTrack.Codec.(*codec.AAC).Silence()) {
					t.Fatalf("held sound is % x", f.Payload)
				}
				continue
			}
			if f.Key != (n%10 == 0) || f.Key != codec.HasIDR(f.Payload) || !f.Key && len(f.Payload) > 16 {
				t.Errorf("picture %d of the hold: key %v, % x", n, f.Key, f.Payload)
			}
			n++
		}
		if n < 29 || n > 31 {
			t.Errorf("%d pictures in 6 s", n)
		}
		if st := s.stream.Stats(); st.Notice != noticeAway || st.Frames != 25 || st.State != StateInterrupted {
			t.Errorf("status: %+v", st)
		}
		s.close()
	})
}

// MEDIA H1: a silent publisher is only that in the status; after 5 s the hold
// fills what was missed. Its P pictures do not end the hold, its key frame does.
func TestHoldOfSilentPublisher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		p := s.connect()
		s.play(p, 0, time.Second, 0)
		s.wait(4 * time.Second)
		if st := s.stream.Stats(); st.State != StateLive || st.Notice != noticeSilent {
			t.Errorf("after 4 s: %v, %q", st.State, st.Notice)
		}
		if held, _ := s.check(stillStep); held != 0 {
			t.Errorf("%d pictures inserted while the publisher was only silent", held)
		}
		s.wait(2 * time.Second)
		held, _ := s.check(stillStep + 40*time.Millisecond)
		if held < 29 {
			t.Errorf("%d pictures fill 6 s", held)
		}
		if err := p.Video(7*time.Second, 7*time.Second, false, realSlice); err != nil {
			t.Fatal(err)
		}
		if s.stream.State() != StateInterrupted {
			t.Error("a P picture ended the hold")
		}
		s.play(p, 7040*time.Millisecond, time.Second, 0)
		if s.stream.State() != StateLive {
			t.Error("a key frame did not end the hold")
		}
		s.check(stillStep + 40*time.Millisecond)
		s.close()
		p.Close()
	})
}

// A backlog that comes after a stall of less than 5 s passes whole, and nobody
// is thrown out for what came at once.
func TestBacklogPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		p := s.connect()
		s.play(p, 0, time.Second, 0)
		s.wait(4500 * time.Millisecond)
		for at := time.Second; at < 5500*time.Millisecond; at += 40 * time.Millisecond {
			key := at%time.Second == 0
			if err := p.Video(at, at, key, map[bool][]byte{true: realKey, false: realSlice}[key]); err != nil {
				t.Fatal(err)
			}
		}
		s.read()
		held, live := s.check(stillStep)
		if held != 0 || live != 25+113 {
			t.Errorf("%d live pictures and %d of a hold", live, held)
		}
		s.close()
		p.Close()
	})
}

// Nor is a reader that had a frame left when the stall began: a stalled server lets its
// readers take nothing either.
func TestBacklogPassesBehindAFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		p := s.connect()
		s.play(p, 0, time.Second, 0)
		for at := time.Second; at < 5500*time.Millisecond; at += 40 * time.Millisecond {
			key := at%time.Second == 0
			if err := p.Video(at, at, key, map[bool][]byte{true: realKey, false: realSlice}[key]); err != nil {
				t.Fatal(err)
			}
			if at == time.Second {
				time.Sleep(4500 * time.Millisecond)
			}
		}
		s.read()
		if _, live := s.check(stillStep); live != 25+113 {
			t.Errorf("%d live pictures", live)
		}
		s.close()
		p.Close()
	})
}

// A takeover from a publisher that had stopped leaves no hole either.
func TestTakeoverFromStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		p := s.connect()
		s.play(p, 0, time.Second, 0)
		s.wait(3 * time.Second)
		q := s.connect()
		s.play(q, time.Hour, time.Second, 0)
		if held, _ := s.check(stillStep + 40*time.Millisecond); held < 14 {
			t.Errorf("%d pictures fill 3 s", held)
		}
		s.close()
		p.Close()
		q.Close()
	})
}

// An open group's newest all-I picture is shown, not the run's first.
func TestHoldOfOpenGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		p := s.connect()
		s.play(p, 0, 400*time.Millisecond, 0)
		intra := bytes.Clone(realIntra)
		intra[7] = 0xfb // told apart by its last bits
		if err := p.Video(400*time.Millisecond, 400*time.Millisecond, true, intra); err != nil {
			t.Fatal(err)
		}
		p.Close()
		s.wait(time.Second)
		key := s.stream.Run().KeyFrame()
		if !key.Hold || !codec.HasIDR(key.Payload) || bytes.Equal(key.Payload, codec.StillOf(s.track.Codec, realKey).Key(0)) {
			t.Errorf("shown: % x", key.Payload)
		}
		s.close()
	})
}

// What no skip picture is known for is shown by key frames alone, within the
// stream's own bitrate.
func TestKeyStep(t *testing.T) {
	for _, test := range []struct {
		size    int
		bitrate float64
		want    time.Duration
	}{
		{100_000, 0, 2 * time.Second}, {100_000, 4e6, 200 * time.Millisecond}, {100_000, 2e6, 400 * time.Millisecond},
		{100_000, 1e6, 800 * time.Millisecond}, {4 << 20, 1e6, 2 * time.Second}, {0, 1e6, 200 * time.Millisecond},
	} {
		if got := keyStep(test.size, test.bitrate); got != test.want {
			t.Errorf("%d bytes at %.0f bit/s: every %v, want %v", test.size, test.bitrate, got, test.want)
		}
	}
}

// An old key frame is shown when there is nothing newer, and the status says so.
func TestHoldOfOldPicture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		p := s.connect()
		s.play(p, 0, 25*time.Second, 0)
		s.wantEvents(EventLive, EventStarving)
		p.Close()
		s.wait(time.Second)
		if notice := s.stream.Stats().Notice; notice != noticeOld {
			t.Errorf("the status says %q", notice)
		}
		s.close()
	})
}

// The backlog of a publisher that was silent for more than 5 s is of the past:
// the hold ends at the first key frame of now, and nobody is late afterwards. A
// source whose clock stood still meanwhile is not waited for much longer.
func TestBacklogAfterHold(t *testing.T) {
	for _, test := range []struct {
		name    string
		backlog time.Duration // that comes at once
		late    time.Duration // until the stream is live again
	}{{"all", 8 * time.Second, 0}, {"none, its clock stood still", 0, stalePatience}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(t)
				p := s.connect()
				s.play(p, 0, time.Second, 0)
				s.wait(8 * time.Second)
				send := func(at time.Duration) {
					key := at%time.Second == 0
					if err := p.Video(at, at, key, map[bool][]byte{true: realKey, false: realSlice}[key]); err != nil {
						t.Fatal(err)
					}
				}
				at := time.Second
				for ; at < time.Second+test.backlog; at += 40 * time.Millisecond {
					send(at)
				}
				back := time.Now()
				for ; s.stream.State() != StateLive && time.Since(back) < 20*time.Second; at += 40 * time.Millisecond {
					send(at)
					s.wait(40 * time.Millisecond)
				}
				if late := time.Since(back) - test.late; late < 0 || late > 100*time.Millisecond {
					t.Errorf("live %v after the return", time.Since(back))
				}
				for range 50 {
					send(at)
					at += 40 * time.Millisecond
					s.wait(40 * time.Millisecond)
				}
				s.check(stillStep + 40*time.Millisecond)
				if behind := time.Since(s.got[len(s.got)-1].Wall); behind.Abs() > staleAfter {
					t.Errorf("the newest frame is %v old", behind)
				}
				s.close()
				p.Close()
			})
		})
	}
}

// After a publisher that was faster than time the hold begins at once.
func TestHoldOfTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		p := s.connect()
		for at := time.Duration(0); at < 20*time.Second; at += 40 * time.Millisecond {
			if err := p.Video(at, at, at == 0, map[bool][]byte{true: realKey, false: realSlice}[at == 0]); err != nil {
				t.Fatal(err)
			}
		}
		s.read()
		p.Close()
		s.wait(2 * time.Second)
		if held, _ := s.check(stillStep + 40*time.Millisecond); held < 9 || held > 13 {
			t.Errorf("%d pictures of a hold in 2 s", held)
		}
		s.close()
	})
}

// Sound that waits for a picture when the publisher falls silent is no lag: what the hold
// then adds at once passes whole, whatever the reader wakes for.
func TestHoldBehindWaitingSound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		p := s.connect()
		s.play(p, 0, time.Second, 0)
		s.rd.Close()
		s.rd, s.got = s.stream.Run().Subscribe(ReaderOptions{PictureWake: true}), nil
		ctx, cancel := context.WithCancel(t.Context())
		var reading sync.WaitGroup
		reading.Go(func() {
			for {
				list, err := s.rd.Next(ctx, nil)
				if err != nil {
					return
				}
				s.got = append(s.got, list...)
			}
		})
		synctest.Wait()
		if err := p.Audio(time.Second, aac); err != nil { // and no picture after it
			t.Fatal(err)
		}
		time.Sleep(7 * time.Second)
		synctest.Wait()
		cancel()
		reading.Wait()
		if held, _ := s.check(stillStep + 40*time.Millisecond); held < 29 {
			t.Errorf("%d pictures fill 7 s", held)
		}
		s.close()
		p.Close()
	})
}
