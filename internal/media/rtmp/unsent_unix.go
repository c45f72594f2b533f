//go:build linux || darwin

package rtmp

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// unsent bounds what the kernel takes of us before the network has room for it:
// a peer that stops reading is noticed by the next few pictures, not after the
// megabytes of a send buffer.
const unsent = 32 << 10

// keepShort sets the bound on a TCP connection; others stay as they are.
func keepShort(conn net.Conn) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsent) // a kernel without it buffers more
	})
}
