package server

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// unconfirmed reports whether a peer has not confirmed all that was written, and how
// much it has then. An error: the connection is closed.
func unconfirmed(raw syscall.RawConn) (waiting bool, acked uint64, err error) {
	var bad error
	err = raw.Control(func(fd uintptr) {
		var n int
		if n, bad = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); bad != nil || n == 0 {
			return // so it is for nearly all, and costs less than to ask for more
		}
		var info *unix.TCPInfo
		if info, bad = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); bad == nil {
			waiting, acked = true, info.Bytes_acked
		}
	})
	if err == nil {
		err = bad
	}
	return waiting, acked, err
}
