package transcode

import (
	"errors"

	"syscall"

	"golang.org/x/sys/unix"
)

// procAttr gives a child its own process group, so that Ctrl-C reaches us
// alone, and has the kernel kill it when the thread that forked it ends.
func procAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// limit bounds private memory and processor time of a running child. No core
// dumps: they would hold viewers' pictures.
func limit(pid int, memory, cpuSeconds uint64) error {
	err := errors.Join(
		setLimit(pid, unix.RLIMIT_DATA, memory),
		setLimit(pid, unix.RLIMIT_CORE, 0),
	)
	if cpuSeconds > 0 {
		err = errors.Join(err, setLimit(pid, unix.RLIMIT_CPU, cpuSeconds))
	}
	return err
}

func setLimit(pid, what int, value uint64) error {
	err := unix.Prlimit(pid, what, &unix.Rlimit{Cur: value, Max: value}, nil)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}
