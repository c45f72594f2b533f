package rtmp

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

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a server with a hub on a free port of the loopback interface.
type rig struct {
	t      testing.TB
	hub    *hub.Hub
	server *Server
	logs   *logbook
	panics uint64 // connections that are meant to panic
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

func newRig(t testing.TB, cfg Config) *rig {
	t.Helper()
	return newRigTimes(t, cfg, defaultTimes())
}

func newRigTimes(t testing.TB, cfg Config, limits times) *rig {
	t.Helper()
	logs := &logbook{}
	log := slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h := hub.New(hub.Config{}, log)
	cfg.Addr = "127.0.0.1:0"
	s, err := New(cfg, h, log)
	if err != nil {
		t.Fatal(err)
	}
	s.times = limits
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
		if g := &s.gate; g.conns != 0 || g.pending != 0 || len(g.byRemote) != 0 || s.strangers.used.Load() != 0 {
			t.Errorf("%d connections, %d strangers, %d addresses, %d bytes stay counted", g.conns, g.pending, len(g.byRemote), s.strangers.used.Load())
		}
		if n := s.Stats().Panics; n != r.panics {
			t.Errorf("%d connections panicked: %s", n, logs.String())
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

func (r *rig) url(name string) string {
	return fmt.Sprintf("rtmp://%s/live/%s", r.server.Addr(), name)
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
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	c := &child{t: t, cancel: cancel}
	c.cmd = exec.CommandContext(ctx, "ffmpeg", append([]string{"-hide_banner", "-nostdin", "-loglevel", "error"}, args...)...)
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.err
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// wait returns what ffmpeg printed; ok is false when it failed.
func (c *child) wait() (stdout, stderr string, ok bool) {
	c.t.Helper()
	defer c.cancel()
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
		"-re", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30", "-f", "lavfi", "-i", "sine=sample_rate=48000",
		"-t", fmt.Sprint(seconds), "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "30", "-c:a", "aac",
	}
	return append(append(args, extra...), "-f", "flv", url)
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
	deadline := time.After(15 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited 15 s for %s", what)
		}
	}
}
