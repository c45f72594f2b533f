//go:build unix

package transcode

import (
	"errors"
	"os"
	"syscall"
)

// killGroup kills a child and all that it started.
func killGroup(p *os.Process) error {
	err := syscall.Kill(-p.Pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}
