//go:build !linux

package rtmp

import "net"

// quiet does nothing where there is no SO_RCVLOWAT of this kind.
type quiet struct{}

func newQuiet(*net.TCPConn) quiet { return quiet{} }

func (*quiet) begin() {}

func (*quiet) read([]byte) (n int, err error, done bool) { return 0, nil, false }
