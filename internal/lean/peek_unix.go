//go:build unix

package lean

import "syscall"

// peek copies what has come on a socket, which stays there; 0 when nothing has.
func peek(fd uintptr, b []byte) int {
	n, _, err := syscall.Recvfrom(int(fd), b, syscall.MSG_PEEK)
	if err != nil {
		return 0
	}
	return n
}
