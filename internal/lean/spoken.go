package lean

import (
	"net"
	"net/http"
	"net/url"
	"syscall"

	"glimpse/internal/strangers"
)

// Spoken looks whether a newcomer has sent a plain request that h takes, which is read
// later all the same. It may be called by one goroutine. Where the system cannot be
// asked, nobody has spoken.
func Spoken(h Handler) strangers.Spoken {
	buf := make([]byte, headSize)
	r := &http.Request{Method: http.MethodGet, URL: &url.URL{}, Header: http.Header{}}
	return func(c net.Conn) (past, known bool) {
		below, ok := strangers.Bare(c).(syscall.Conn)
		if !ok {
			return false, true
		}
		raw, err := below.SyscallConn()
		if err != nil {
			return false, true
		}
		n := 0
		if err = raw.Read(func(fd uintptr) bool {
			n = peek(fd, buf)
			return true // it does not wait
		}); err != nil || n == 0 {
			return false, err != nil
		}
		said, ok := parse(buf[:n])
		if ok {
			said.fill(r)
			ok = h.Takes(r)
		}
		return ok, true
	}
}
