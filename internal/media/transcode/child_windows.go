package transcode

import (
	"os"
	"syscall"
)

// procAttr gives a child its own process group, so that Ctrl-C reaches us
// alone. When we die, the end of its stdin ends it.
func procAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP, HideWindow: true}
}

func killGroup(p *os.Process) error { return p.Kill() }

// limit does nothing: the system cannot limit another process without a job.
func limit(int, uint64, uint64) error { return nil }
