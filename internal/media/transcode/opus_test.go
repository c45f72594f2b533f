package transcode

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

// convertAll gives a new child all frames at once and returns what comes out.
func convertAll(t *testing.T, frames []*frame.Frame) []*frame.Frame {
	t.Helper()
	tc := newTranscoder(t, Config{})
	src := make(feed, len(frames))
	for _, f := range frames { // one by one: a batch's old sound is left out
		src <- []*frame.Frame{f}
	}
	close(src)
	var got []*frame.Frame
	err := tc.opus(t.Context(), src, func(f *frame.Frame) { got = append(got, f) }, tc.log)
	if err != nil {
		t.Fatal(err)
	}
	if s := tc.Stats(); s.Children != 0 || s.Failed != 0 || s.Started == 0 {
		t.Errorf("stats %+v after a clean run", s)
	}
	return got
}

// beep decodes Opus frames and returns when the beep begins on their timeline.
func beep(t *testing.T, frames []*frame.Frame) time.Duration {
	t.Helper()
	channels := frames[0].Track.Codec.(*codec.Opus).Channels
	ogg := oggPage(nil, 2, 0, 0, []byte{'O', 'p', 'u', 's', 'H', 'e', 'a', 'd', 1, byte(channels), 0, 0, 0x80, 0xbb, 0, 0, 0, 0, 0})
	ogg = oggPage(ogg, 0, 0, 1, append([]byte("OpusTags"), make([]byte, 8)...))
	for i, f := range frames {
		ogg = oggPage(ogg, 0, uint64(i+1)*960, uint32(i+2), f.Payload)
	}
	pcm := ffmpeg(t, ogg, "-f", "ogg", "-i", "pipe:0", "-ac", "1", "-f", "s16le", "pipe:1")
	if got, want := len(pcm)/2/960, len(frames); got < want-1 || got > want {
		t.Errorf("%d packets decode to %d", want, got)
	}
	for i := 0; i+1 < len(pcm); i += 2 {
		if v := int16(uint16(pcm[i]) | uint16(pcm[i+1])<<8); v > 4000 || v < -4000 {
			at := time.Duration(i/2) * time.Second / 48000
			n := int(at / opusFrame)
			return frames[n].PTS + at%opusFrame
		}
	}
	t.Fatal("no beep")
	return 0
}

// oggPage appends a page with one packet (RFC 3533 §6).
func oggPage(b []byte, flags byte, granule uint64, seq uint32, packet []byte) []byte {
	at := len(b)
	b = append(b, 'O', 'g', 'g', 'S', 0, flags)
	b = binary.LittleEndian.AppendUint64(b, granule)
	b = binary.LittleEndian.AppendUint32(b, 1)
	b = binary.LittleEndian.AppendUint32(b, seq)
	n := len(packet)/255 + 1
	b = append(b, 0, 0, 0, 0, byte(n))
	for range n - 1 {
		b = append(b, 255)
	}
	b = append(append(b, byte(len(packet)%255)), packet...)
	crc := uint32(0)
	for _, c := range b[at:] {
		crc ^= uint32(c) << 24
		for range 8 {
			if crc&(1<<31) != 0 {
				crc = crc<<1 ^ 0x04c11db7
			} else {
				crc <<= 1
			}
		}
	}
	binary.LittleEndian.PutUint32(b[at+22:], crc)
	return b
}

// The beep stays where it was, for every rate and number of channels: ≤ 3 ms
// off where MEDIA A allows 40, so that forgotten priming would be noticed.
func TestBeepKeepsItsPlace(t *testing.T) {
	for _, c := range []struct{ rate, channels string }{{"48000", "1"}, {"44100", "2"}, {"16000", "1"}} {
		t.Run(c.rate+"x"+c.channels, func(t *testing.T) {
			frames := onlySound(signal(t, c.rate, c.channels))
			got := convertAll(t, frames)
			if len(got) < 140 {
				t.Fatalf("%d packets of 3 s", len(got))
			}
			for i, f := range got[1:] {
				if d := f.PTS - got[i].PTS; d != opusFrame {
					t.Fatalf("packet %d is %v after the one before", i+1, d)
				}
			}
			if n := got[0].Track.Codec.(*codec.Opus).Channels; strconv.Itoa(n) != c.channels {
				t.Errorf("%d channels", n)
			}
			at := beep(t, got)
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
	got := convertAll(t, frames)
	holes := 0
	for i, f := range got[1:] {
		d := f.PTS - got[i].PTS
		if d > gap && d < gap+2*opusFrame {
			holes++
			if f.Epoch != 1 || got[i].Epoch != 0 {
				t.Errorf("epochs %d, %d around the hole", got[i].Epoch, f.Epoch)
			}
		} else if d != opusFrame {
			t.Errorf("packet %d is %v after the one before", i+1, d)
		}
	}
	if holes != 1 {
		t.Errorf("%d holes", holes)
	}
	if at := beep(t, got); (at - gap - beepAt).Abs() > opusFrame {
		t.Errorf("beep at %v, want %v", at, gap+beepAt)
	}
}

// New parameters get a new child and a new Track; nothing counts as a failure.
func TestNewParameters(t *testing.T) {
	mono, stereo := onlySound(signal(t, "48000", "1")), onlySound(signal(t, "44100", "2"))
	for _, f := range stereo {
		f.PTS += 4 * time.Second
	}
	got := convertAll(t, append(mono, stereo...))
	tracks := map[*frame.Track]int{}
	for _, f := range got {
		tracks[f.Track]++
	}
	if len(tracks) != 2 || len(got) < 280 {
		t.Errorf("%d packets on %d tracks", len(got), len(tracks))
	}
	if last := got[len(got)-1]; last.PTS < 6900*time.Millisecond || last.Track.Codec.(*codec.Opus).Channels != 2 {
		t.Errorf("last packet %+v", last)
	}
}

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
		l.done <- tc.opus(ctx, src, func(f *frame.Frame) { l.opus <- f }, tc.log)
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
			in, out := &soundInput{src: src}, &soundOutput{emit: func(*frame.Frame) { t.Error("sound") }}
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
	if err := missing.opus(t.Context(), src, nil, missing.log); !errors.Is(err, ErrMissing) {
		t.Errorf("opus: %v", err)
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
	h := hub.New(hub.Config{}, slog.New(slog.DiscardHandler))
	defer h.Close()
	s, err := h.Open(hub.Spec{ID: "a", IngestKey: "k", PlaybackID: "p"})
	if err != nil {
		t.Fatal(err)
	}
	frames := signal(t, "48000", "1")
	p, err := h.Publish("k", hub.PublisherInfo{Protocol: "test"})
	if err != nil {
		t.Fatal(err)
	}
	publish(t, p, frames)
	run := s.Run()
	got := make(chan *frame.Frame, 256)
	done := make(chan error, 1)
	begun := time.Now()
	go func() { done <- tc.Opus(t.Context(), run, func(f *frame.Frame) { got <- f }) }()
	f := <-got
	t.Logf("first Opus of a run after %v at %v", time.Since(begun), f.PTS)
	if newest := frames[len(frames)-1].PTS; newest-f.PTS > 2*backlog {
		t.Errorf("starts at %v of %v: not live", f.PTS, newest)
	}
	s.Close("test")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func publish(t *testing.T, p *hub.Publisher, frames []*frame.Frame) {
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
