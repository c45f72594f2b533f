package transcode

import (
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A child that does not even read its stdin is gone with a parent that was
// killed, and is not when only the thread that asked for it ended (MEDIA F, FAULTS F13).
func TestGoneWithItsParent(t *testing.T) {
	pids := t.TempDir() + "/pids"
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "TRANSCODE_PARENT="+script(t, `echo $$ >"`+pids+`"; exec sleep 60`))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("started\n"))); err != nil {
		t.Fatal(err)
	}
	pid := pidOf(t, pids, 1)
	<-time.After(200 * time.Millisecond) // for the thread to end
	if !running(pid) {
		t.Fatal("the child died with the thread that asked for it")
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	for range 100 {
		if !running(pid) {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Error("the child outlives its parent by a second")
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

// running reports whether a process lives; a zombie, which waits for whoever
// inherited it, does not.
func running(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}
