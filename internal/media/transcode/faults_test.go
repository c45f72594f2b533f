//go:build unix

package transcode

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"
)

// By the times that are set a killed child is back within 2 s and a stopped one is
// noticed within 5 s (a busy machine may add to both); the
// timeline stays strictly rising and no process is left (FAULTS F12).
func TestChildDiesAndHangs(t *testing.T) {
	path, pids := noted(t)
	tc := newTranscoder(t, Config{Path: path})
	if after := tc.cfg.HangAfter*9/8 + hangLag; after > 5*time.Second || firstPause > 2*time.Second {
		t.Errorf("a hang is noticed after up to %v, the first pause is %v", after, firstPause)
	}
	const busy = 20 * time.Second // starting a process on a busy machine, and what is noticed before
	l := playLive(t, tc)
	begun := time.Now()
	last := l.next(t, busy)
	t.Logf("first Opus after %v", time.Since(begun))

	for i, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP} {
		pid := pidOf(t, pids, i+1)
		if err := syscall.Kill(pid, signal); err != nil {
			t.Fatal(err)
		}
		hit := time.Now()
		l.drain()
		// What comes after the fault's first pause is of the new child.
		pidOf(t, pids, i+2)
		l.drain()
		f := l.next(t, busy)
		t.Logf("%v: sound again after %v", signal, time.Since(hit))
		if f.PTS <= last.PTS {
			t.Errorf("PTS %v after %v", f.PTS, last.PTS)
		}
		last = f
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("child %d is still there: %v", pid, err)
		}
	}
	l.stop()
	if err := <-l.done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if s := tc.Stats(); s.Children != 0 || s.Failed != 2 || s.Started != 3 {
		t.Errorf("stats %+v", s)
	}
}
