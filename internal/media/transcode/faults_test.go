//go:build unix

package transcode

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"
)

// A killed child is back within 2 s, a stopped one is noticed within 5 s; the
// timeline stays strictly rising and no process is left (FAULTS F12).
func TestChildDiesAndHangs(t *testing.T) {
	pids := t.TempDir() + "/pids"
	tc := newTranscoder(t, Config{Path: script(t, `echo $$ >>"`+pids+`"; exec ffmpeg "$@"`)})
	l := playLive(t, tc)
	begun := time.Now()
	last := l.next(t, 2*time.Second)
	t.Logf("first Opus after %v", time.Since(begun))

	for i, fault := range []struct {
		signal syscall.Signal
		within time.Duration
	}{{syscall.SIGKILL, 2 * time.Second}, {syscall.SIGSTOP, 5*time.Second + 2*time.Second + firstPause}} {
		pid := pidOf(t, pids, i+1)
		if err := syscall.Kill(pid, fault.signal); err != nil {
			t.Fatal(err)
		}
		hit := time.Now()
		l.drain()
		// What comes after the fault's first pause is of the new child.
		pidOf(t, pids, i+2)
		l.drain()
		f := l.next(t, fault.within)
		t.Logf("%v: sound again after %v", fault.signal, time.Since(hit))
		if time.Since(hit) > fault.within {
			t.Errorf("%v: sound again after %v", fault.signal, time.Since(hit))
		}
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
