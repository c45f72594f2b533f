package hub

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	videoTrack = &frame.Track{Codec: &codec.H264{SPS: []byte{0x67, 66, 0xc0, 31}, PPS: []byte{0x68}}}
	audioTrack = &frame.Track{Codec: &codec.AAC{SampleRate: 44100, Channels: 2}}
	idr        = []byte{0, 0, 0, 2, 0x65, 1}
	slice      = []byte{0, 0, 0, 2, 0x41, 1}
	aac        = []byte{1, 2, 3}
)

// bench is a hub with one stream and a record of its events.
type bench struct {
	t      *testing.T
	hub    *Hub
	stream *Stream
	mu     sync.Mutex
	events []EventKind
}

func newBench(t *testing.T, cfg Config, spec Spec) *bench {
	b := &bench{t: t, hub: New(cfg, slog.New(slog.DiscardHandler))}
	spec.ID, spec.IngestKey, spec.PlaybackID = "s1", "key", "play"
	spec.Notify = func(e Event) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.events = append(b.events, e.Kind)
	}
	s, err := b.hub.Open(spec)
	if err != nil {
		t.Fatal(err)
	}
	b.stream = s
	return b
}

func (b *bench) publisher() *Publisher {
	b.t.Helper()
	p, err := b.hub.Publish("key", PublisherInfo{Protocol: "test"})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := p.SetTrack(videoTrack); err != nil {
		b.t.Fatal(err)
	}
	return p
}

// gop sends a key frame and n-1 pictures 33 ms apart from source time at, in
// real (fake) time.
func (b *bench) gop(p *Publisher, at time.Duration, n int) {
	b.t.Helper()
	for i := range n {
		pts := at + time.Duration(i)*33*time.Millisecond
		payload := slice
		if i == 0 {
			payload = idr
		}
		if err := p.Video(pts, pts, i == 0, payload); err != nil {
			b.t.Fatalf("picture %d: %v", i, err)
		}
		time.Sleep(33 * time.Millisecond)
	}
}

func (b *bench) wantEvents(want ...EventKind) {
	b.t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.events, want) {
		b.t.Errorf("events %v, want %v", b.events, want)
	}
}

// drain reads what is there without waiting.
func drain(rd *Reader) []*frame.Frame {
	rd.signal()
	frames, _ := rd.take(nil)
	return frames
}

// A new reader has the newest key frame at once and all that follows.
func TestJoinAtNewestKeyFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{}, Spec{})
		defer b.hub.Close()
		p := b.publisher()
		defer p.Close()
		b.gop(p, 0, 30)
		b.gop(p, time.Second, 10)
		rd := b.stream.Run().Subscribe(ReaderOptions{})
		defer rd.Close()
		live := b.stream.Run().Subscribe(ReaderOptions{Live: true})
		defer live.Close()
		got := drain(rd)
		if len(got) != 10 || !got[0].Key {
			t.Fatalf("got %d frames, first key %v; want the 10 of the newest group", len(got), got[0].Key)
		}
		if n := len(drain(live)); n != 0 {
			t.Errorf("a live reader got %d frames before the next key frame", n)
		}
		b.gop(p, 2*time.Second, 2)
		if got := drain(live); len(got) != 2 || !got[0].Key {
			t.Errorf("a live reader got %d frames after it", len(got))
		}
	})
}

// The publisher never waits: a reader that sleeps loses whole groups of
// pictures, counted, and goes on at a key frame.
func TestSlowReaderResumesAtKeyFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{}, Spec{})
		defer b.hub.Close()
		p := b.publisher()
		defer p.Close()
		b.gop(p, 0, 30)
		rd := b.stream.Run().Subscribe(ReaderOptions{})
		defer rd.Close()
		if n := len(drain(rd)); n != 30 {
			t.Fatalf("%d frames", n)
		}
		for i := range 9 {
			b.gop(p, time.Duration(i+1)*time.Second, 30)
		}
		got := drain(rd)
		if len(got) == 0 || !got[0].Key {
			t.Fatal("the reader did not resume at a key frame")
		}
		if rd.Dropped() == 0 || rd.Dropped()+uint64(len(got)) != 270 {
			t.Errorf("dropped %d and read %d of 270", rd.Dropped(), len(got))
		}
		if st := b.stream.Stats(); st.Dropped != rd.Dropped() {
			t.Errorf("stats say %d dropped, reader %d", st.Dropped, rd.Dropped())
		}
	})
}

// FAULTS F7: the ring is bounded: of a group of pictures over the bound a new
// reader gets the key frame alone, and goes on at the next one.
func TestRingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{RingBytes: 10 * (6 + frameCost)}, Spec{})
		defer b.hub.Close()
		p := b.publisher()
		defer p.Close()
		b.gop(p, 0, 30)
		rd := b.stream.Run().Subscribe(ReaderOptions{})
		defer rd.Close()
		if got := drain(rd); len(got) != 1 || !got[0].Key {
			t.Errorf("%d frames, want the key frame alone", len(got))
		}
		b.wantEvents(EventLive, EventStarving)
		if notice := b.stream.Stats().Notice; notice != noticeStarving {
			t.Errorf("the status says %q", notice)
		}
		b.gop(p, time.Second, 1)
		if got := drain(rd); len(got) != 1 || !got[0].Key {
			t.Errorf("%d frames after the next key frame", len(got))
		}
		if n := len(b.stream.Run().frames); n > 10 {
			t.Errorf("the ring holds %d frames", n)
		}
	})
}

// However short the groups of pictures are, a reader may lag a while without
// loss. The ring is no longer for those who are slower, nor for who wants sound alone
// where none comes.
func TestShortGroupsDoNotShortenTheRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{}, Spec{})
		defer b.hub.Close()
		p := b.publisher()
		defer p.Close()
		b.gop(p, 0, 1)
		rd := b.stream.Run().Subscribe(ReaderOptions{})
		defer rd.Close()
		for i := 1; i < 80; i++ { // 2.6 s of key frames
			b.gop(p, time.Duration(i)*33*time.Millisecond, 1)
		}
		if got := drain(rd); len(got) != 80 || rd.Dropped() != 0 {
			t.Errorf("%d frames, %d dropped", len(got), rd.Dropped())
		}
		listener := b.stream.Run().Subscribe(ReaderOptions{SoundOnly: true})
		defer listener.Close()
		drain(listener)
		for i := 80; i < 400; i++ {
			b.gop(p, time.Duration(i)*33*time.Millisecond, 1)
		}
		if n := len(b.stream.Run().frames); n > 100 {
			t.Errorf("the ring holds %d frames of 33 ms", n)
		}
	})
}

// A panic in an output ends that output of that run and nothing else.
func TestOutputPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Config{}, slog.New(slog.DiscardHandler), func(context.Context, *Run) { panic("broken") })
		defer h.Close()
		if _, err := h.Open(Spec{ID: "a", IngestKey: "k", PlaybackID: "p"}); err != nil {
			t.Fatal(err)
		}
		p, err := h.Publish("k", PublisherInfo{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		_ = p.SetTrack(videoTrack)
		if err := p.Video(0, 0, true, idr); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := p.Video(time.Second, time.Second, true, idr); err != nil {
			t.Errorf("publishing on: %v", err)
		}
	})
}

// FAULTS F1, F3: after the window exactly one terminal event; readers end.
func TestWindowOver(t *testing.T) {
	for _, test := range []struct {
		name     string
		standing bool
		want     EventKind
	}{{"wearer", false, EventEnded}, {"standing", true, EventIdle}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, Config{}, Spec{ResumeWindow: 30 * time.Second, Standing: test.standing})
				p := b.publisher()
				b.gop(p, 0, 5)
				rd := b.stream.Run().Subscribe(ReaderOptions{})
				drain(rd)
				// Half-open: no Close, just silence.
				time.Sleep(34 * time.Second)
				b.wantEvents(EventLive, EventInterrupted)
				time.Sleep(2 * time.Second)
				b.wantEvents(EventLive, EventInterrupted, test.want)
				var err error
				for err == nil {
					_, err = rd.Next(t.Context(), nil)
				}
				if !errors.Is(err, io.EOF) {
					t.Errorf("reader: %v, want io.EOF", err)
				}
				rd.Close()
				if test.standing {
					b.gop(p, 9*time.Second, 2) // the same connection wakes up again
					b.wantEvents(EventLive, EventInterrupted, EventIdle, EventLive)
					if got := drain(b.stream.Run().Subscribe(ReaderOptions{})); got[0].DTS != 0 {
						t.Errorf("a new run starts at %v", got[0].DTS)
					}
				} else if _, err := b.hub.Publish("key", PublisherInfo{}); !errors.Is(err, ErrUnknownKey) {
					t.Errorf("publishing to an ended stream: %v", err)
				}
				p.Close()
				b.hub.Close()
			})
		})
	}
}

// FAULTS F2, MEDIA H3: the newer publisher wins at its first key frame and no
// earlier; two that fight are stopped from flapping.
func TestTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{}, Spec{ResumeWindow: time.Minute})
		defer b.hub.Close()
		old := b.publisher()
		b.gop(old, 0, 10)
		rd := b.stream.Run().Subscribe(ReaderOptions{})
		defer rd.Close()
		drain(rd)
		next := b.publisher()
		if err := next.Video(0, 0, false, slice); err != nil {
			t.Fatal(err)
		}
		if old.Err() != nil {
			t.Fatal("superseded before the newcomer's key frame")
		}
		b.gop(next, 0, 2)
		if !errors.Is(old.Err(), ErrSuperseded) {
			t.Errorf("old publisher: %v", old.Err())
		}
		if err := old.Video(time.Second, time.Second, true, idr); !errors.Is(err, ErrSuperseded) {
			t.Errorf("a late frame of the loser: %v", err)
		}
		if got := drain(rd); len(got) != 2 || got[0].Discontinuity {
			t.Errorf("a seamless takeover gave %d frames, discontinuity %v", len(got), got[0].Discontinuity)
		}
		old.Close()
		for range 2 { // takeovers two and three
			p := b.publisher()
			b.gop(p, 0, 1)
			next.Close()
			next = p
		}
		if _, err := b.hub.Publish("key", PublisherInfo{}); !errors.Is(err, ErrRefused) {
			t.Errorf("a fourth takeover within 30 s: %v", err)
		}
		if b.stream.State() != StateLive {
			t.Error("the incumbent did not stay")
		}
		if _, err := b.hub.Publish("key", PublisherInfo{}); !errors.Is(err, ErrRefused) {
			t.Errorf("and again: %v", err)
		}
		b.wantEvents(EventLive, EventTakeover, EventTakeover, EventTakeover, EventRefused)
		time.Sleep(4 * time.Second)
		for range 8 { // keeps the incumbent alive over the refusal
			b.gop(next, 10*time.Second, 100)
		}
		late := b.publisher()
		b.gop(late, 0, 1)
		if !errors.Is(next.Err(), ErrSuperseded) {
			t.Errorf("after 30 s: %v", next.Err())
		}
		next.Close()
		late.Close()
	})
}

// A newcomer that never sends a key frame is let go after 10 s.
func TestPendingPublisherIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{}, Spec{ResumeWindow: time.Minute})
		defer b.hub.Close()
		p := b.publisher()
		defer p.Close()
		pending := b.publisher()
		defer pending.Close()
		b.gop(p, 0, 340)
		if !errors.Is(pending.Err(), ErrNoKeyFrame) {
			t.Errorf("pending publisher after 11 s: %v", pending.Err())
		}
		if p.Err() != nil {
			t.Errorf("the source: %v", p.Err())
		}
		for range 2 {
			b.publisher()
		}
		if _, err := b.hub.Publish("key", PublisherInfo{}); !errors.Is(err, ErrBusy) {
			t.Errorf("a fifth connection: %v", err)
		}
	})
}

// MEDIA T5: announced sound is waited for, but not longer than 500 ms.
func TestWaitsForAnnouncedSound(t *testing.T) {
	for _, test := range []struct {
		name  string
		after int // pictures before the sound's parameters come; -1: never
	}{{"soon", 3}, {"never", -1}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, Config{}, Spec{})
				defer b.hub.Close()
				p := b.publisher()
				defer p.Close()
				p.ExpectAudio()
				start := time.Now()
				for i := 0; b.stream.State() != StateLive; i++ {
					if i == test.after {
						if err := p.SetTrack(audioTrack); err != nil {
							t.Fatal(err)
						}
					}
					pts := time.Duration(i) * 33 * time.Millisecond
					payload := idr
					if i > 0 {
						payload = slice
					}
					if err := p.Video(pts, pts, i == 0, payload); err != nil {
						t.Fatal(err)
					}
					time.Sleep(33 * time.Millisecond)
				}
				waited := time.Since(start)
				if waited > 600*time.Millisecond {
					t.Errorf("live after %v", waited)
				}
				tracks := len(b.stream.Run().Tracks())
				if want := map[bool]int{true: 2, false: 1}[test.after >= 0]; tracks != want {
					t.Errorf("%d tracks, want %d", tracks, want)
				}
				rd := b.stream.Run().Subscribe(ReaderOptions{})
				defer rd.Close()
				if got := drain(rd); !got[0].Key || got[0].DTS != 0 {
					t.Error("the held frames were not published from the key frame on")
				}
			})
		})
	}
}

// Outputs follow each run and end with it.
func TestOutputsEndWithTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var began, ended int
		out := func(ctx context.Context, run *Run) {
			began++
			<-ctx.Done()
			ended++
		}
		h := New(Config{}, slog.New(slog.DiscardHandler), out)
		s, err := h.Open(Spec{ID: "a", IngestKey: "k", PlaybackID: "p"})
		if err != nil {
			t.Fatal(err)
		}
		p, err := h.Publish("k", PublisherInfo{})
		if err != nil {
			t.Fatal(err)
		}
		_ = p.SetTrack(videoTrack)
		_ = p.Video(0, 0, true, idr)
		synctest.Wait()
		if began != 1 || ended != 0 {
			t.Fatalf("began %d, ended %d", began, ended)
		}
		h.Close()
		if ended != 1 {
			t.Error("Close did not wait for the output")
		}
		if !errors.Is(p.Err(), ErrEnded) || s.State() != StateEnded {
			t.Errorf("publisher %v, state %v", p.Err(), s.State())
		}
		if _, err := h.Open(Spec{ID: "b"}); !errors.Is(err, ErrClosed) {
			t.Errorf("open after Close: %v", err)
		}
	})
}

// A source that falls silent is lost but not sent away, however long it was
// connected: its next key frame resumes the stream. When somebody else resumes
// it, it is superseded.
func TestSilentSourceMayResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{}, Spec{ResumeWindow: time.Minute})
		defer b.hub.Close()
		p := b.publisher()
		defer p.Close()
		b.gop(p, 0, 400) // longer than newcomers may take
		time.Sleep(20 * time.Second)
		if b.stream.State() != StateInterrupted || p.Err() != nil {
			t.Fatalf("after silence: %v, publisher: %v", b.stream.State(), p.Err())
		}
		b.gop(p, 33*time.Second, 30)
		if b.stream.State() != StateLive {
			t.Fatalf("after its return: %v", b.stream.State())
		}
		time.Sleep(20 * time.Second)
		q := b.publisher()
		defer q.Close()
		b.gop(q, 0, 2)
		if !errors.Is(p.Err(), ErrSuperseded) || q.Err() != nil {
			t.Errorf("publishers: %v, %v", p.Err(), q.Err())
		}
	})
}

// A stream that waited for announced sound began when its key frame arrived:
// nothing on its timeline lies in the future.
func TestWaitingForSoundMovesNoClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{}, Spec{})
		defer b.hub.Close()
		p := b.publisher()
		defer p.Close()
		p.ExpectAudio()
		begun := time.Now()
		b.gop(p, 0, 6)
		if err := p.SetTrack(audioTrack); err != nil {
			t.Fatal(err)
		}
		if err := p.Audio(0, aac); err != nil {
			t.Fatal(err)
		}
		run := b.stream.Run()
		if run == nil || !run.Start().Equal(begun) {
			t.Fatalf("run %+v, want one since the key frame", run)
		}
		rd := run.Subscribe(ReaderOptions{})
		defer rd.Close()
		frames, err := rd.Next(t.Context(), nil)
		if err != nil || len(frames) != 7 {
			t.Fatalf("%d frames: %v", len(frames), err)
		}
		for _, f := range frames {
			if f.Wall.After(time.Now()) {
				t.Errorf("a frame from the future: %v", time.Until(f.Wall))
			}
		}
	})
}

// A publisher with other parameters brings them in its first picture too, once;
// one that comes back with the same ones changes no byte.
func TestNewParametersInBand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{}, Spec{ResumeWindow: time.Minute})
		defer b.hub.Close()
		other := &frame.Track{Codec: &codec.H264{SPS: []byte{0x67, 77, 0, 31}, PPS: []byte{0x68, 1}}}
		copied := *videoTrack.Codec.(*codec.H264)
		for i, track := range []*frame.Track{videoTrack, {Codec: &copied}, other} {
			p := b.publisher()
			if err := p.SetTrack(track); err != nil {
				t.Fatal(err)
			}
			b.gop(p, 0, 2)
			want := idr
			if track == other {
				want = []byte{0, 0, 0, 4, 0x67, 77, 0, 31, 0, 0, 0, 2, 0x68, 1, 0, 0, 0, 2, 0x65, 1}
			}
			if got := b.stream.Run().KeyFrame().Payload; !slices.Equal(got, want) {
				t.Errorf("publisher %d: first picture % x, want % x", i, got, want)
			}
			b.gop(p, time.Second, 2)
			if got := b.stream.Run().KeyFrame().Payload; !slices.Equal(got, idr) {
				t.Errorf("publisher %d: second key frame % x", i, got)
			}
			p.Close()
		}
	})
}

// Sound alone does not wake a reader that asked for pictures.
func TestPictureWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{}, Spec{})
		defer b.hub.Close()
		p := b.publisher()
		defer p.Close()
		if err := p.SetTrack(audioTrack); err != nil {
			t.Fatal(err)
		}
		b.gop(p, 0, 1)
		rd := b.stream.Run().Subscribe(ReaderOptions{PictureWake: true})
		defer rd.Close()
		if _, err := rd.Next(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(10 * time.Millisecond)
			_ = p.Audio(23*time.Millisecond, aac)
			time.Sleep(10 * time.Millisecond)
			_ = p.Video(33*time.Millisecond, 33*time.Millisecond, false, slice)
		}()
		start := time.Now()
		got, err := rd.Next(t.Context(), nil)
		if err != nil || len(got) != 2 || time.Since(start) != 20*time.Millisecond {
			t.Errorf("%d frames after %v (%v), want sound and picture after 20 ms", len(got), time.Since(start), err)
		}
	})
}

// Viewers are counted per protocol, and a peak is kept.
func TestViewers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{}, Spec{})
		defer b.hub.Close()
		leave := b.stream.AddViewer(ViewerInfo{Protocol: "whep"})
		b.stream.AddViewer(ViewerInfo{Protocol: "hls"})
		leave()
		leave()
		st := b.stream.Stats()
		if st.Viewers["whep"] != 0 || st.Viewers["hls"] != 1 || st.PeakViewers != 2 {
			t.Errorf("viewers %v, peak %d", st.Viewers, st.PeakViewers)
		}
	})
}

// Who watches is listed with what is known of each; joins, peaks and the time that
// they watched are those of the run.
func TestAudience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{}, Spec{})
		defer b.hub.Close()
		early := b.stream.AddViewer(ViewerInfo{Protocol: "hls", Remote: "1.2.3.4:5"})
		time.Sleep(time.Minute) // before the run: nothing to watch
		p := b.publisher()
		defer p.Close()
		begin := time.Now()
		if err := p.Video(0, 0, true, idr); err != nil {
			t.Fatal(err)
		}
		leave := b.stream.AddViewer(ViewerInfo{Protocol: "whep", Stats: func() ViewerStats { return ViewerStats{Bytes: 7, Lost: 1} }})
		time.Sleep(time.Second)
		list := b.stream.Viewers()
		if len(list) != 2 || list[0].Protocol != "hls" || list[0].Remote != "1.2.3.4:5" || list[1].Bytes != 7 || list[1].Lost != 1 ||
			list[0].ID == list[1].ID || !list[1].Since.Equal(begin) {
			t.Errorf("viewers %+v", list)
		}
		leave()
		b.stream.AddViewer(ViewerInfo{Protocol: "whep"})
		time.Sleep(2 * time.Second)
		early()
		want := Audience{"hls": {Peak: 1, Joined: 1, Watched: 3 * time.Second}, "whep": {Now: 1, Peak: 1, Joined: 2, Watched: 3 * time.Second}}
		if diff := cmp.Diff(want, b.stream.Stats().Audience); diff != "" {
			t.Error(diff)
		}
	})
}

// One publish to n readers: the publisher's cost, without allocation per reader.
func BenchmarkPublish(b *testing.B) {
	for _, readers := range []int{1, 100, 1000} {
		b.Run(map[int]string{1: "readers=1", 100: "readers=100", 1000: "readers=1000"}[readers], func(b *testing.B) {
			h := New(Config{}, slog.New(slog.DiscardHandler))
			defer h.Close()
			s, _ := h.Open(Spec{ID: "a", IngestKey: "k", PlaybackID: "p"})
			p, _ := h.Publish("k", PublisherInfo{})
			_ = p.SetTrack(videoTrack)
			_ = p.Video(0, 0, true, idr)
			for range readers {
				s.Run().Subscribe(ReaderOptions{})
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				pts := time.Duration(i) * 33 * time.Millisecond
				_ = p.Video(pts, pts, i%60 == 0, idr)
			}
		})
	}
}
