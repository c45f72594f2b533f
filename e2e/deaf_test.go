package e2e

import (
	"syscall"
	"testing"
	"time"
)

// A reader by SRT whose process stands still says nothing and is let go after 5 s; who
// reads beside it misses nothing. One that goes on saying that it is there but confirms
// nothing is let go after 9 s: TestDeafPeer. libsrt confirms what it has received, also
// while the program does not take it.
//
// F10
func TestDeafReaderBySRT(t *testing.T) {
	parallel(t, waiting)
	c := startCloud(t, withSRT)
	s := c.newStream()
	publish(t, s.Ingest["rtmp"])
	c.wantStatus(s.ID, "live")
	beside := whole(t, s)
	deaf := start(t, "ffmpeg that stands still", nil, framecrc("-i", s.Play["srt"], "-c", "copy")...)
	deaf.waitLine(`^0, +\d`, 0)
	watching := func() int { return c.watching(s.ID, "srt") }
	eventually(t, "it watches", func() bool { return watching() == 1 })
	if err := deaf.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	stopped := time.Now()
	within(t, 10*time.Second, "who stands still is let go", func() bool { return watching() == 0 })
	if took := time.Since(stopped); took < 4*time.Second {
		t.Errorf("who stands still is let go after %v", took)
	}
	_ = deaf.cmd.Process.Kill() // it hears no other signal
	c.waitLine(`srt player left.*nothing heard from the peer for 5 s`, 0)
	beside.wantWhole(30)
}
