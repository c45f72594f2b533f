//go:build unix

package server

import (
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// withSpare gives a listener its spare descriptor. Closing the listener gives
// that up.
func withSpare(l *net.TCPListener) net.Listener {
	s := &spareListener{
		Listener: l,
		pending:  func() bool { return readable(l) },
		open:     func() (io.Closer, error) { return os.Open(os.DevNull) },
		heard: func(c net.Conn) bool {
			socket, ok := c.(syscall.Conn)
			return ok && readable(socket)
		},
	}
	s.takeBack(false)
	return s
}

// readable reports whether a connection waits at a listener, or bytes or the end at a
// connection.
func readable(socket syscall.Conn) bool {
	raw, err := socket.SyscallConn()
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
