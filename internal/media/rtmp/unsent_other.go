//go:build !linux && !darwin

package rtmp

import "net"

// unsent bounds the send buffer where the kernel knows no better bound.
const unsent = 256 << 10

// keepShort sets the bound on a TCP connection; others stay as they are.
func keepShort(conn net.Conn) {
	if b, ok := conn.(interface{ SetWriteBuffer(int) error }); ok {
		_ = b.SetWriteBuffer(unsent)
	}
}
