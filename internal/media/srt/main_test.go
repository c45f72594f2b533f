package srt

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

	"go.uber.org/goleak"

	"glimpse/internal/media/hub"
)

func TestMain(m *testing.M) {
	// The library's client leaves its reading goroutine behind when it was refused.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/datarhei/gosrt.DialWithContext.func1"))
}

// rig is a server with a hub on a free port of the loopback interface.
type rig struct {
	t      testing.TB
	hub    *hub.Hub
	server *Server
	logs   *logbook
	panics uint64 // handshakes that are meant to make the library panic
}

// logbook keeps what was logged, down to debug.
type logbook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func newRig(t testing.TB, cfg Config, adjust ...func(*times)) *rig {
	t.Helper()
	logs := &logbook{}
	log := slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h := hub.New(hub.Config{}, log)
	cfg.Addr = "127.0.0.1:0"
	s, err := New(cfg, h, log)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range adjust {
		a(&s.times)
	}
	r := &rig{t: t, hub: h, server: s, logs: logs}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("server: %v", err)
		}
		h.Close()
		if p := &s.places; p.taken != 0 || len(p.by) != 0 {
			t.Errorf("%d connections of %d addresses stay counted", p.taken, len(p.by))
		}
		if n := s.Stats().Panics; n != r.panics {
			t.Errorf("%d panics, want %d: %s", n, r.panics, logs.String())
		}
		if t.Failed() {
			t.Log(logs.String())
		}
	})
	return r
}

// open makes a stream with the keys "<name>-key" and "<name>-play".
func (r *rig) open(name string, window time.Duration) *hub.Stream {
	r.t.Helper()
	s, err := r.hub.Open(hub.Spec{ID: name, IngestKey: name + "-key", PlaybackID: name + "-play", ResumeWindow: window})
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) url(streamID string) string {
	return fmt.Sprintf("srt://%s?streamid=%s", r.server.Addr(), streamID)
}

// child is a running ffmpeg.
type child struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, err bytes.Buffer
	cancel   context.CancelFunc
}

func startFFmpeg(t *testing.T, args ...string) *child {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	c := &child{t: t, cancel: cancel}
	c.cmd = exec.CommandContext(ctx, "ffmpeg", append([]string{"-hide_banner", "-nostdin", "-loglevel", "error"}, args...)...)
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.err
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cancel)
	return c
}

// wait returns what ffmpeg printed; ok is false when it failed.
func (c *child) wait() (stdout, stderr string, ok bool) {
	err := c.cmd.Wait()
	return c.out.String(), c.err.String(), err == nil
}

// kill ends ffmpeg without a goodbye.
func (c *child) kill() {
	c.cancel()
	_ = c.cmd.Wait()
}

// publishArgs make a test stream of so many seconds, in real time.
func publishArgs(url string, seconds int, extra ...string) []string {
	args := []string{
		"-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30", "-f", "lavfi", "-i", "sine=sample_rate=48000",
		"-t", fmt.Sprint(seconds), "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "30", "-c:a", "aac",
	}
	return append(append(args, extra...), "-f", "mpegts", url)
}

// crcLines are the packets that `-f framecrc` printed for one stream.
func crcLines(out string, stream int) (lines []string) {
	for l := range strings.Lines(out) {
		if strings.HasPrefix(l, fmt.Sprintf("%d,", stream)) {
			lines = append(lines, strings.TrimSpace(l))
		}
	}
	return lines
}

// until polls a condition that other processes make true.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited 20 s for %s", what)
		}
	}
}
