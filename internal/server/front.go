package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"glimpse/internal/lean"
	"glimpse/internal/media/frames"
	"glimpse/internal/strangers"
)

// The bounds of HTTP (FAULTS part 1).
const (
	headerTime  = 5 * time.Second
	idleTime    = 2 * time.Minute
	headerBytes = 16 << 10
	// bodyTime is what a request with a body has, from its header to the end of
	// its answer: longer than an app may take to start.
	bodyTime = 30 * time.Second
)

// front is the HTTP server. Handlers set their own deadlines for answers,
// because websockets and held playlists live long; those have no body.
type front struct {
	http *http.Server
	lean *lean.Listener // nil before begin
}

// newFront serves h; who reads nothing is watched until its connection is somebody else's.
func newFront(h http.Handler, watch *unread) *front {
	return &front{http: &http.Server{
		Handler: bodiesInTime(briefly(h)), ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: headerBytes,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if isBorrowed(c) {
				ctx = context.WithValue(ctx, onSpare{}, true)
			}
			return strangers.With(frames.WithConn(ctx, c), c)
		},
		ConnState: func(c net.Conn, state http.ConnState) {
			switch state {
			case http.StateIdle: // what it sent was answered
				strangers.PlaceOf(c).Rest()
			case http.StateHijacked:
				watch.forget(strangers.Bare(c))
			}
		},
	}}
}

// onSpare marks the context of a connection on a spare descriptor.
type onSpare struct{}

// listenTCP listens, with a spare descriptor for when all are used up, and bounds for
// how long who reads nothing is kept. What strangers may hold is for a Door to bound.
func listenTCP(addr string, watch *unread) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	return watch.listener(withSpare(l.(*net.TCPListener))), nil
}

// briefly ends a connection on a spare descriptor after its first answer.
func briefly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Value(onSpare{}) != nil {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// bodiesInTime bounds the time of bodies, also of those that no handler reads:
// net/http would wait for them without end before it answers.
func bodiesInTime(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 { // -1: chunked
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime)) // a closed connection needs none
		}
		next.ServeHTTP(w, r)
	})
}

// begin lets a handler answer plain requests of a TCP listener by itself, and those
// who have sent one past a crowd at the door; what serve is given then is the rest.
func (f *front) begin(l net.Listener, door *strangers.Door, h lean.Handler) net.Listener {
	f.lean = lean.New(door.Porch(l, lean.Spoken(h)), lean.Config{Handler: h, Server: f.http, Pass: isBorrowed})
	return f.lean
}

func (f *front) serve(l net.Listener) error {
	if err := f.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// shutdown lets requests finish until ctx ends, then cuts them.
func (f *front) shutdown(ctx context.Context) {
	var plain sync.WaitGroup
	if f.lean != nil {
		plain.Go(func() { f.lean.Shutdown(ctx) })
	}
	if f.http.Shutdown(ctx) != nil {
		_ = f.http.Close()
	}
	plain.Wait()
}
