package rtmp

import (
	"errors"
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// quietBytes may come before a quiet socket says so; the system takes less when its
// buffer is smaller.
const quietBytes = 256 << 10

// quiet keeps a socket from waking the process for each packet while its publisher
// rests anyway (hub.Publisher.Rest): by SO_RCVLOWAT it becomes readable for the
// poller only when much has come, while a read takes what is there. Whatever would
// wait ends that first, so nobody waits for bytes that are there already. The zero
// value does nothing. For one goroutine.
type quiet struct {
	raw syscall.RawConn
	on  bool
}

// newQuiet is for the TCP connection that a source reads; nil: never quiet.
func newQuiet(tcp *net.TCPConn) quiet {
	if tcp == nil {
		return quiet{}
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return quiet{}
	}
	return quiet{raw: raw}
}

// begin makes the socket quiet.
func (q *quiet) begin() {
	if q.raw != nil && !q.on {
		q.on = q.set(quietBytes)
	}
}

func (q *quiet) set(bytes int) bool {
	var err error
	failed := q.raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, bytes) })
	return failed == nil && err == nil
}

// read takes what is there from a quiet socket. When done is false nothing is, and
// the socket is quiet no more.
func (q *quiet) read(b []byte) (n int, err error, done bool) {
	if !q.on {
		return 0, nil, false
	}
	var failed error
	if err := q.raw.Read(func(fd uintptr) bool {
		n, failed = unix.Read(int(fd), b)
		return true
	}); err != nil {
		return 0, err, true // its deadline, for example
	}
	switch {
	case errors.Is(failed, unix.EAGAIN), errors.Is(failed, unix.EINTR):
		q.on = false
		q.set(1)
		return 0, nil, false
	case failed != nil:
		return 0, &net.OpError{Op: "read", Net: "tcp", Err: failed}, true
	case n == 0:
		return 0, io.EOF, true
	}
	return n, nil, true
}
