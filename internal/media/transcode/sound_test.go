package transcode

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

// collected is a sink.
type collected struct {
	write   func(*frame.Frame)
	problem func(error)
}

func (c collected) Write(f *frame.Frame) { c.write(f) }
func (c collected) Problem(err error) {
	if c.problem != nil {
		c.problem(err)
	}
}

// convertAll gives a new child all frames at once and returns what comes out.
func convertAll(t testing.TB, to hub.Sound, frames []*frame.Frame) []*frame.Frame {
	t.Helper()
	tc := newTranscoder(t, Config{})
	src := make(feed, len(frames))
	for _, f := range frames { // one by one: a batch's old sound is left out
		src <- []*frame.Frame{f}
	}
	close(src)
	var got []*frame.Frame
	err := tc.keepConverting(t.Context(), src, outputs()[to], collected{write: func(f *frame.Frame) { got = append(got, f) }}, tc.log)
	if err != nil {
		t.Fatal(err)
	}
	if s := tc.Stats(); s.Children != 0 || s.Failed != 0 || s.Started == 0 {
		t.Errorf("stats %+v after a clean run", s)
	}
	return got
}

// beep decodes what was converted and returns when the beep begins on its timeline.
func beep(t testing.TB, to hub.Sound, frames []*frame.Frame) time.Duration {
	t.Helper()
	var file bytes.Buffer
	name, format, track, n := hub.SoundAAC, "flv", &frame.Track{Codec: codec.StandardAAC()}, codec.AACFrameSamples
	if to == hub.SoundOpus {
		name, format, track, n = to, "ogg", &frame.Track{Codec: &codec.Opus{Channels: 2}}, 960
	}
	w, err := inputs()[name].open(&file, track)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range frames {
		at := length(int64(i*n), soundRate)
		if err := w.WriteFrame(&frame.Frame{Track: track, PTS: at, DTS: at, Payload: f.Payload}); err != nil {
			t.Fatal(err)
		}
	}
	pcm := ffmpeg(t, file.Bytes(), "-f", format, "-i", "pipe:0", "-ac", "1", "-ar", "48000", "-f", "s16le", "pipe:1")
	if got, want := len(pcm)/2/n, len(frames); got < want-1 || got > want {
		t.Errorf("%d packets decode to %d", want, got)
	}
	for i := 0; i+1 < len(pcm); i += 2 {
		if v := int16(uint16(pcm[i]) | uint16(pcm[i+1])<<8); v > 4000 || v < -4000 {
			return frames[i/2/n].PTS + length(int64(i/2%n), soundRate)
		}
	}
	t.Fatal("no beep")
	return 0
}

// The beep stays where it was, for every rate and number of channels: ≤ 3 ms
// off where MEDIA A allows 40, so that forgotten priming would be noticed.
func TestBeepKeepsItsPlace(t *testing.T) {
	for _, c := range []struct {
		codec, rate, channels string
		to                    hub.Sound
	}{
		{"aac", "48000", "1", hub.SoundOpus}, {"aac", "44100", "2", hub.SoundOpus}, {"aac", "16000", "1", hub.SoundOpus},
		{"aac", "44100", "1", hub.SoundStandard}, {"aac", "48000", "1", hub.SoundStandard},
		{"libopus", "48000", "2", hub.SoundStandard}, {"libopus", "16000", "1", hub.SoundStandard},
	} {
		t.Run(c.codec+c.rate+"x"+c.channels, func(t *testing.T) {
			frames := soundOf(t, c.codec, c.rate, c.channels)
			got := convertAll(t, c.to, frames)
			if len(got) < 138 {
				t.Fatalf("%d packets of 3 s", len(got))
			}
			want := length(outputs()[c.to].samples, soundRate)
			for i, f := range got[1:] {
				if d := f.PTS - got[i].PTS; (d - want).Abs() > 1 {
					t.Fatalf("packet %d is %v after the one before", i+1, d)
				}
			}
			at := beep(t, c.to, got)
			t.Logf("beep at %v", at)
			if (at - beepAt).Abs() > 3*time.Millisecond {
				t.Errorf("beep at %v, want %v", at, beepAt)
			}
		})
	}
}

// A hole in the source's sound and a new epoch move what follows, without a new child.
func TestGapMovesWhatFollows(t *testing.T) {
	frames := onlySound(signal(t, "48000", "1"))
	const gap = 2 * time.Second
	cut := 0
	for i, f := range frames {
		if f.PTS > 500*time.Millisecond {
			if cut == 0 {
				cut = i
			}
			f.PTS += gap
			f.DTS += gap
			f.Epoch = 1
		}
	}
	got := convertAll(t, hub.SoundOpus, frames)
	holes := 0
	for i, f := range got[1:] {
		d := f.PTS - got[i].PTS
		if d > gap && d < gap+2*packet20ms {
			holes++
			if f.Epoch != 1 || got[i].Epoch != 0 {
				t.Errorf("epochs %d, %d around the hole", got[i].Epoch, f.Epoch)
			}
		} else if d != packet20ms {
			t.Errorf("packet %d is %v after the one before", i+1, d)
		}
	}
	if holes != 1 {
		t.Errorf("%d holes", holes)
	}
	if at := beep(t, hub.SoundOpus, got); (at - gap - beepAt).Abs() > packet20ms {
		t.Errorf("beep at %v, want %v", at, gap+beepAt)
	}
}

// New parameters, and sound that needs no conversion for a while, get a new
// child; nothing counts as a failure.
func TestNewParameters(t *testing.T) {
	mono, stereo := onlySound(signal(t, "48000", "1")), onlySound(signal(t, "44100", "2"))
	opus := soundOf(t, "libopus", "48000", "2")
	for _, f := range opus {
		f.PTS += 4 * time.Second
	}
	for _, f := range stereo {
		f.PTS += 8 * time.Second
	}
	got := convertAll(t, hub.SoundOpus, slices.Concat(mono, opus, stereo))
	if len(got) < 280 {
		t.Errorf("%d packets", len(got))
	}
	for _, f := range got {
		if f.PTS > 3100*time.Millisecond && f.PTS < 7900*time.Millisecond {
			t.Errorf("a packet at %v", f.PTS)
		}
	}
	if last := got[len(got)-1]; last.PTS < 10900*time.Millisecond {
		t.Errorf("last packet %+v", last)
	}
}

const packet20ms = 20 * time.Millisecond

// live plays a stream's sound in real time, for ever, and collects Opus.
type live struct {
	opus chan *frame.Frame
	done chan error
	stop context.CancelFunc
}

func playLive(t *testing.T, tc *Transcoder) *live {
	t.Helper()
	sound := onlySound(signal(t, "48000", "1"))
	ctx, cancel := context.WithCancel(t.Context())
	l := &live{opus: make(chan *frame.Frame, 4096), done: make(chan error, 1), stop: cancel}
	src := make(feed, 1024)
	publisher := make(chan struct{})
	go func() {
		defer close(publisher)
		step := codec.AACFrameSamples * time.Second / 48000
		tick := time.NewTicker(step)
		defer tick.Stop()
		for n := 0; ; n++ {
			pts := time.Duration(n) * step
			f := &frame.Frame{Track: sound[0].Track, PTS: pts, DTS: pts, Payload: sound[n%len(sound)].Payload}
			select {
			case src <- []*frame.Frame{f}:
			default: // a ring forgets
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	go func() {
		l.done <- tc.keepConverting(ctx, src, outputs()[hub.SoundOpus], collected{write: func(f *frame.Frame) { l.opus <- f }}, tc.log)
	}()
	t.Cleanup(func() {
		cancel()
		<-publisher
	})
	return l
}

// next waits for an Opus frame.
func (l *live) next(t *testing.T, within time.Duration) *frame.Frame {
	t.Helper()
	select {
	case f := <-l.opus:
		return f
	case <-time.After(within):
		t.Fatalf("no sound within %v", within)
		return nil
	}
}

// drain empties what is there.
func (l *live) drain() {
	for {
		select {
		case <-l.opus:
		default:
			return
		}
	}
}

// pidOf waits for the pid that the n-th child wrote.
func pidOf(t *testing.T, path string, n int) int {
	t.Helper()
	for range 1000 {
		b, _ := os.ReadFile(path)
		if pids := strings.Fields(string(b)); len(pids) >= n {
			pid, err := strconv.Atoi(pids[n-1])
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Fatalf("no child %d", n)
	return 0
}

func TestNonsenseAndCrash(t *testing.T) {
	for name, body := range map[string]string{
		"nonsense": `exec yes nonsense`,
		"crash":    `echo "out of cheese" >&2; exit 1`,
		"silent":   `exec true`,
	} {
		t.Run(name, func(t *testing.T) {
			tc := newTranscoder(t, Config{Path: script(t, body)})
			var logged bytes.Buffer
			tc.log = slog.New(slog.NewTextHandler(&logged, nil))
			sound := onlySound(signal(t, "48000", "1"))
			src := make(feed, 1)
			src <- sound[:1]
			to := outputs()[hub.SoundOpus]
			in := &soundInput{src: src, to: to}
			out := &soundOutput{dst: collected{write: func(*frame.Frame) { t.Error("sound") }}, to: to}
			track, err := in.wait(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			err = tc.convert(t.Context(), in, out, track)
			if err == nil || name == "crash" && !strings.Contains(err.Error(), "out of cheese") {
				t.Errorf("error %v", err)
			}
			if s := tc.Stats(); s.Children != 0 || s.Failed != 1 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

// Without ffmpeg there is a sentence with a hint; the common limit and Close are
// refusals of their own.
//
// E25
func TestMissingBusyClosed(t *testing.T) {
	sound := onlySound(signal(t, "48000", "1"))
	src := make(feed, 1)
	src <- sound[:1]
	missing := newTranscoder(t, Config{Path: "/nonexistent/ffmpeg"})
	if err := missing.Available(); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "install ffmpeg") {
		t.Errorf("available: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var problem error
	err := missing.keepConverting(ctx, src, outputs()[hub.SoundOpus], collected{problem: func(err error) { problem = err; cancel() }}, missing.log)
	if !errors.Is(problem, ErrMissing) || !errors.Is(err, context.Canceled) {
		t.Errorf("conversion: %v, %v", problem, err)
	}

	tc := newTranscoder(t, Config{Path: script(t, "exec sleep 60"), MaxChildren: 1})
	if err := tc.Available(); err != nil {
		t.Error(err)
	}
	c, err := tc.start(t.Context(), job{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tc.start(t.Context(), job{}); !errors.Is(err, ErrBusy) {
		t.Errorf("second child: %v", err)
	}
	waited := make(chan error)
	go func() { waited <- c.wait() }()
	tc.Close()
	tc.Close()
	if err := <-waited; err == nil {
		t.Error("a killed child ended cleanly")
	}
	if _, err := tc.start(t.Context(), job{}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// Secrets of ours do not reach a child's environment.
func TestEnvironment(t *testing.T) {
	got := cleanEnv([]string{"PATH=/bin", "GLIMPSE_ADMIN_TOKEN=x"})
	if len(got) != 1 || got[0] != "PATH=/bin" {
		t.Error(got)
	}
}

// From a real hub: first Opus at once from the kept GOP, live sound only, the
// run's end ends it, and latency through the child stays small.
func TestOpusOfARun(t *testing.T) {
	tc := newTranscoder(t, Config{})
	s, p := stream(t, tc)
	frames := signal(t, "48000", "1")
	publish(t, p, frames)
	run := s.Run()
	got := make(chan *frame.Frame, 256)
	done := make(chan error, 1)
	begun := time.Now()
	go func() { done <- tc.Opus(t.Context(), run, func(f *frame.Frame) { got <- f }) }()
	f := <-got
	t.Logf("first Opus of a run after %v at %v", time.Since(begun), f.PTS)
	if newest := frames[len(frames)-1].PTS; newest-f.PTS > 400*time.Millisecond {
		t.Errorf("starts at %v of %v: not live", f.PTS, newest)
	}
	s.Close("test")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func publish(t testing.TB, p *hub.Publisher, frames []*frame.Frame) {
	t.Helper()
	tracks := map[frame.Kind]*frame.Track{}
	for _, f := range frames {
		if tracks[f.Track.Kind()] == nil {
			tracks[f.Track.Kind()] = f.Track
			if err := p.SetTrack(f.Track); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		if f.IsVideo() {
			err = p.Video(f.PTS, f.DTS, f.Key, f.Payload)
		} else {
			err = p.Audio(f.PTS, f.Payload)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
