package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// The bounds of HTTP (FAULTS part 1).
const (
	headerTime  = 5 * time.Second
	idleTime    = 2 * time.Minute
	headerBytes = 16 << 10
)

// front is the HTTP server. Handlers set their own deadlines for bodies and
// answers, because websockets and held playlists live long.
type front struct{ http *http.Server }

func newFront(h http.Handler) *front {
	return &front{&http.Server{
		Handler: h, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: headerBytes,
	}}
}

func (f *front) serve(l net.Listener) error {
	if err := f.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// shutdown lets requests finish until ctx ends, then cuts them.
func (f *front) shutdown(ctx context.Context) {
	if f.http.Shutdown(ctx) != nil {
		_ = f.http.Close()
	}
}
