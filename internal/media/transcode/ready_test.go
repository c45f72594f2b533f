//go:build unix

package transcode

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

// listen takes a run's sound as Opus until leave is called, and waits for the first of it.
func listen(t testing.TB, tc *Transcoder, run *hub.Run) (leave func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	got, done := make(chan *frame.Frame, 4096), make(chan error, 1)
	go func() { done <- tc.Opus(ctx, run, func(f *frame.Frame) { got <- f }) }()
	<-got
	return func() { cancel(); <-done }
}

// wantStats waits until as many children are at work and as many wait.
func wantStats(t testing.TB, tc *Transcoder, children, ready int) {
	t.Helper()
	var s Stats
	for range 2000 {
		if s = tc.Stats(); s.Children == children && s.Ready == ready {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Fatalf("stats %+v, want %d at work and %d ready", s, children, ready)
}

// startedSoFar is how many processes there have been.
func startedSoFar(pids string) int {
	b, _ := os.ReadFile(pids)
	return len(strings.Fields(string(b)))
}

// While a run has sound, a child waits for its first listener, who is served by it;
// then another one waits. It counts for nothing, and goes with the Transcoder.
func TestChildIsReady(t *testing.T) {
	path, pids := noted(t)
	tc := newTranscoder(t, Config{Path: path, MaxChildren: 1})
	s, p := stream(t, tc, tc.Output)
	publish(t, p, signal(t, "48000", "1"))
	wantStats(t, tc, 0, 1)
	waits := pidOf(t, pids, 1)
	if st := tc.Stats(); st.Started != 0 || st.Failed != 0 {
		t.Errorf("before the first listener: %+v", st)
	}
	leave := listen(t, tc, s.Run())
	if n := startedSoFar(pids); n != 1 {
		t.Errorf("%d processes for the first listener", n)
	}
	if st := tc.Stats(); st.Children != 1 || st.Started != 1 {
		t.Errorf("with a listener: %+v", st)
	}
	wantStats(t, tc, 1, 1) // one more than MaxChildren, since nobody needs it
	next := pidOf(t, pids, 2)
	leave()
	s.Close("test")
	wantStats(t, tc, 0, 1) // a publisher that comes and goes does not start one each time
	if n := startedSoFar(pids); n != 2 {
		t.Errorf("%d processes", n)
	}
	tc.Close()
	if st := tc.Stats(); st.Ready != 0 {
		t.Errorf("after Close: %+v", st)
	}
	for _, pid := range []int{waits, next} {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("child %d is still there: %v", pid, err)
		}
	}
	if st := tc.Stats(); st.Failed != 0 || st.Started != 1 {
		t.Errorf("after all: %+v", st)
	}
}

// A child that died while it waited is nobody's failure: who comes gets a new one.
func TestReadyChildDies(t *testing.T) {
	path, pids := noted(t)
	tc := newTranscoder(t, Config{Path: path})
	s, p := stream(t, tc, tc.Output)
	publish(t, p, signal(t, "48000", "1"))
	wantStats(t, tc, 0, 1)
	killChild(t, pidOf(t, pids, 1))
	wantStats(t, tc, 0, 0)
	leave := listen(t, tc, s.Run())
	if st := tc.Stats(); st.Children != 1 || st.Ready != 0 || st.Started != 1 || st.Failed != 0 {
		t.Errorf("with a listener: %+v", st)
	}
	leave()
}

// One child waits for all runs of the same kind, and one more for the other direction;
// 10 s after the last run of a kind it goes.
func TestReadyIsShared(t *testing.T) {
	path, pids := noted(t)
	tc := newTranscoder(t, Config{Path: path})
	aac, opus := onlySound(signal(t, "48000", "1"))[0].Track, soundOf(t, "libopus", "48000", "1")[0].Track
	need := func(track *frame.Track) (leave func()) {
		args, ok := readyArgs(track)
		if !ok {
			t.Fatal("no conversion")
		}
		return tc.shelf.need(args)
	}
	first, second, other := need(aac), need(aac), need(opus)
	wantStats(t, tc, 0, 2)
	first()
	other()
	begun := time.Now()
	wantStats(t, tc, 0, 1)
	if d := time.Since(begun); d < readyLinger-time.Second {
		t.Errorf("gone after %v", d)
	}
	second()
	need(aac)()
	if kinds := len(tc.shelf.kinds); kinds != 1 || startedSoFar(pids) != 2 {
		t.Errorf("%d kinds, %d processes", kinds, startedSoFar(pids))
	}
}
