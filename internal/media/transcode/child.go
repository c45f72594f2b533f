package transcode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

// stderrKept is how much of a child's last words is kept for the reason.
const stderrKept = 2 << 10

// job describes a child.
type job struct {
	args  []string
	input io.Reader // given to a one-shot; nil: the child has a stdin to write to
	cpu   uint64    // seconds of processor time, 0 without limit (Linux)
}

// child is a running ffmpeg. Read stdout to its end, then call wait, always.
type child struct {
	t      *Transcoder
	cmd    *exec.Cmd
	cancel context.CancelFunc
	stdin  io.WriteCloser // nil for one-shots
	stdout io.Reader
	stderr *tail
}

// start runs ffmpeg until ctx or the Transcoder ends: a child that was ready, or a new
// one. Its death on ctx's end is by kill: an ffmpeg has nothing to save.
func (t *Transcoder) start(ctx context.Context, j job) (*child, error) {
	if err := t.admit(); err != nil {
		return nil, err
	}
	c := t.shelf.take(j.args)
	if c != nil {
		c.until(ctx)
	} else {
		var err error
		if c, err = t.spawn(ctx, j); err != nil {
			t.release()
			if !errors.Is(err, ErrMissing) {
				t.failed.Add(1)
			}
			return nil, err
		}
	}
	t.started.Add(1)
	return c, nil
}

// spawn runs a new child, which the caller has to count.
func (t *Transcoder) spawn(ctx context.Context, j job) (*child, error) {
	path, err := exec.LookPath(t.cfg.Path)
	if err != nil {
		return nil, ErrMissing
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(t.ctx, cancel)
	c := &child{t: t, stderr: &tail{max: stderrKept}, cancel: func() { stop(); cancel() }}
	if err := c.start(ctx, path, j); err != nil {
		c.cancel()
		return nil, fmt.Errorf("start ffmpeg: %w", err)
	}
	return c, nil
}

// until has a child that was ready end with ctx, too.
func (c *child) until(ctx context.Context) {
	end := c.cancel
	stop := context.AfterFunc(ctx, end)
	c.cancel = func() { stop(); end() }
}

func (c *child) start(ctx context.Context, path string, j job) (err error) {
	c.cmd = exec.CommandContext(ctx, path, j.args...)
	c.cmd.Env = cleanEnv(os.Environ())
	c.cmd.Stderr = c.stderr
	c.cmd.SysProcAttr = procAttr()
	c.cmd.Cancel = func() error { return killGroup(c.cmd.Process) }
	c.cmd.WaitDelay = time.Second // for pipes that a grandchild holds
	if c.cmd.Stdin = j.input; j.input == nil {
		if c.stdin, err = c.cmd.StdinPipe(); err != nil {
			return err
		}
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	c.stdout = out
	if err = c.t.launch.start(c.cmd); err != nil {
		return err
	}
	// A child that is already gone cannot be limited and need not be.
	if err := limit(c.cmd.Process.Pid, c.t.cfg.MemoryBytes, j.cpu); err != nil {
		c.t.log.Debug("ffmpeg runs without limits", "err", err)
	}
	return nil
}

// kill ends the child; wait still has to be called. It is idempotent.
func (c *child) kill() { c.cancel() }

// wait collects the child, killing what is left of it a second after its
// output ended, and returns why it failed: its last words, or nil after a clean end.
func (c *child) wait() error {
	defer c.t.release()
	return c.collect()
}

// collect is wait for a child that does not count.
func (c *child) collect() error {
	timer := time.AfterFunc(time.Second, c.cancel)
	err := c.cmd.Wait()
	timer.Stop()
	c.cancel()
	if err == nil {
		return nil
	}
	if words := c.stderr.String(); words != "" {
		return fmt.Errorf("ffmpeg: %w: %s", err, words)
	}
	return fmt.Errorf("ffmpeg: %w", err)
}

// cleanEnv leaves out our own settings, among them secrets.
func cleanEnv(env []string) []string {
	clean := make([]string, 0, len(env))
	for _, e := range env {
		if !strings.HasPrefix(e, "GLIMPSE_") {
			clean = append(clean, e)
		}
	}
	return clean
}

// launcher starts children from one OS thread that lives as long as all of
// them: on Linux the death signal follows the thread that forked (MEDIA F).
type launcher struct {
	jobs  chan launchJob
	quit  chan struct{}
	ended chan struct{}
	once  sync.Once
}

type launchJob struct {
	cmd  *exec.Cmd
	done chan error
}

func newLauncher() *launcher {
	l := &launcher{jobs: make(chan launchJob), quit: make(chan struct{}), ended: make(chan struct{})}
	go l.run()
	return l
}

func (l *launcher) run() {
	defer close(l.ended)
	runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
	for {
		select {
		case j := <-l.jobs:
			j.done <- j.cmd.Start()
		case <-l.quit:
			return
		}
	}
}

func (l *launcher) start(cmd *exec.Cmd) error {
	j := launchJob{cmd, make(chan error, 1)}
	select {
	case l.jobs <- j:
		return <-j.done
	case <-l.quit:
		return errors.New("launcher is closed")
	}
}

// close ends the thread; no child may be left.
func (l *launcher) close() {
	l.once.Do(func() { close(l.quit) })
	<-l.ended
}

// tail keeps the last bytes written to it. It is written by one goroutine and
// read after that one ended.
type tail struct {
	max int
	b   []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p[max(0, len(p)-t.max):]...)
	if len(t.b) > 2*t.max {
		t.b = append(t.b[:0], t.b[len(t.b)-t.max:]...)
	}
	return len(p), nil
}

// String is the end of what was written, on one line.
func (t *tail) String() string {
	b := t.b[max(0, len(t.b)-t.max):]
	return strings.Join(strings.Fields(strings.ToValidUTF8(string(b), "?")), " ")
}
