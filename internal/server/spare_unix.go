//go:build unix

package server

import (
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// withSpare gives a listener its spare descriptor. Closing the listener gives
// that up.
func withSpare(l *net.TCPListener) net.Listener {
	s := &spareListener{Listener: l, open: func() (io.Closer, error) { return os.Open(os.DevNull) }}
	s.pending = func() bool {
		raw, err := l.SyscallConn()
		if err != nil {
			return false
		}
		waits := false
		err = raw.Control(func(fd uintptr) {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
			waits = n > 0 && err == nil
		})
		return waits && err == nil
	}
	s.takeBack(false)
	return s
}
