// Package servetest is what the tests of all protocols need: a hub with streams,
// a log to look into, and ffmpeg as a stranger.
package servetest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/serve"
)

// patience is how long a test waits for an event: machines are loaded.
const patience = 20 * time.Second

// Rig is a hub and what one server does with it.
type Rig struct {
	T      testing.TB
	Hub    *hub.Hub
	Log    *slog.Logger
	Logs   *Logbook
	Panics uint64 // faults that the test causes
}

// Logbook keeps what was logged, down to debug. Safe for concurrent use.
type Logbook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write takes a record.
func (l *Logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String is everything that was logged.
func (l *Logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// New returns a rig with an empty hub.
func New(t testing.TB) *Rig {
	logs := &Logbook{}
	log := slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return &Rig{T: t, Hub: hub.New(hub.Config{}, log), Log: log, Logs: logs}
}

// Server is what all protocols' servers can do.
type Server interface {
	Run(ctx context.Context) error
	Stats() serve.Stats
	Held() int
}

// Run runs a server until the test ends. Then nothing may stay counted, and
// nothing may have panicked but Panics.
func (r *Rig) Run(s Server) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	r.T.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			r.T.Errorf("server: %v", err)
		}
		r.Hub.Close()
		if n := s.Held(); n != 0 {
			r.T.Errorf("%d connections or bytes stay counted", n)
		}
		if n := s.Stats().Panics; n != r.Panics {
			r.T.Errorf("%d panics, want %d", n, r.Panics)
		}
		if r.T.Failed() {
			r.T.Log(r.Logs.String())
		}
	})
}

// Open makes a stream with the keys "<name>-key" and "<name>-play".
func (r *Rig) Open(name string, window time.Duration) *hub.Stream {
	r.T.Helper()
	return r.OpenSpec(hub.Spec{ID: name, IngestKey: name + "-key", PlaybackID: name + "-play", ResumeWindow: window})
}

// OpenSpec makes a stream.
func (r *Rig) OpenSpec(spec hub.Spec) *hub.Stream {
	r.T.Helper()
	s, err := r.Hub.Open(spec)
	if err != nil {
		r.T.Fatal(err)
	}
	return s
}

// Source is a publisher inside the process for the stream of that name.
func (r *Rig) Source(name string, tracks ...*frame.Track) *hub.Publisher {
	r.T.Helper()
	p, err := r.Hub.Publish(name+"-key", hub.PublisherInfo{Protocol: "test"})
	if err != nil {
		r.T.Fatal(err)
	}
	r.T.Cleanup(p.Close)
	for _, t := range tracks {
		if err := p.SetTrack(t); err != nil {
			r.T.Fatal(err)
		}
	}
	return p
}

// Put publishes a frame.
func Put(t testing.TB, p *hub.Publisher, f *frame.Frame) {
	t.Helper()
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

// Until polls a condition that others make true.
func Until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// FFmpeg is a running ffmpeg.
type FFmpeg struct {
	cmd      *exec.Cmd
	out, err bytes.Buffer
	cancel   context.CancelFunc
}

// StartFFmpeg starts ffmpeg, which is killed after 40 s or with the test.
func StartFFmpeg(t testing.TB, args ...string) *FFmpeg {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	f := &FFmpeg{cancel: cancel}
	f.cmd = exec.CommandContext(ctx, "ffmpeg", append([]string{"-hide_banner", "-nostdin", "-loglevel", "error"}, args...)...)
	f.cmd.Stdout, f.cmd.Stderr = &f.out, &f.err
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cancel)
	return f
}

// Wait returns what ffmpeg printed; ok is false when it failed.
func (f *FFmpeg) Wait() (stdout, stderr string, ok bool) {
	err := f.cmd.Wait()
	f.cancel()
	return f.out.String(), f.err.String(), err == nil
}

// Kill ends ffmpeg without a goodbye.
func (f *FFmpeg) Kill() {
	f.cancel()
	_ = f.cmd.Wait()
}

// Publishing are ffmpeg's arguments for a test stream of so many seconds with
// picture and sound, in real time: 30 pictures and one key frame a second.
func Publishing(format, url string, seconds int, extra ...string) []string {
	args := []string{
		"-re", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30", "-f", "lavfi", "-i", "sine=sample_rate=48000",
		"-t", fmt.Sprint(seconds), "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "30", "-c:a", "aac",
	}
	return append(append(args, extra...), "-f", format, url)
}

// Packets are those that `-f framecrc` printed for one stream.
func Packets(out string, stream int) (lines []string) {
	for l := range strings.Lines(out) {
		if strings.HasPrefix(l, fmt.Sprintf("%d,", stream)) {
			lines = append(lines, strings.TrimSpace(l))
		}
	}
	return lines
}
