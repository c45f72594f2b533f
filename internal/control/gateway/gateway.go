// Package gateway is the websocket edge: /app-ws for apps and /glasses-ws for
// the wearers' phones (WIRE.md a.2, c.1). It authenticates a socket, bounds what
// comes in and what waits to go out, keeps the connection alive, and hands the
// frames in order to the wearer's session.
//
// A connection owns three goroutines: the handler reads, a writer empties the
// bounded queue, a pinger watches that the peer is alive. The handler waits for
// the other two, and Close waits for every handler. A panic in one connection
// ends that connection only. The package holds one lock per writer and one for
// the set of connections; neither is held while anything else is called.
package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"glimpse/internal/control/auth"
	"glimpse/internal/control/events"
	"glimpse/internal/control/session"
	"glimpse/internal/control/tap"
)

// Bounds of a socket (FAULTS.md part 1).
const (
	limitBefore = 64 << 10 // bytes of a message before authentication
	limitAfter  = 1 << 20  // and after it

	badKeys     = 10              // wrong API keys of one address at once,
	badKeyEvery = 6 * time.Second // and one more in this time
)

// closeGrace is how long peers may take to answer the last close frame.
const closeGrace = time.Second

// Config holds the edge's bounds. Zero fields mean the defaults named here.
type Config struct {
	AuthTimeout  time.Duration // for an app's first frame: 5 s
	PingInterval time.Duration // of websocket pings: 10 s
	AppIdle      time.Duration // an app that answers no ping for so long is gone: 120 s
	PhoneIdle    time.Duration // likewise a phone: 30 s
	WriteTimeout time.Duration // of one frame: 10 s
	QueueBytes   int           // that may wait for one socket: 2 MiB

	// Taps is told of every frame, connect, refusal and close; nil: nobody is.
	Taps *tap.Bus
	// Events is told of sockets that were closed for being slow; nil: nobody is.
	Events *events.Log
}

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&c.AuthTimeout, 5*time.Second)
	set(&c.PingInterval, 10*time.Second)
	set(&c.AppIdle, 120*time.Second)
	set(&c.PhoneIdle, 30*time.Second)
	set(&c.WriteTimeout, 10*time.Second)
	if c.QueueBytes == 0 {
		c.QueueBytes = 2 << 20
	}
	return c
}

// Keys checks API keys of apps. CheckKey compares in constant time and says
// false for a package that it does not know.
type Keys interface {
	CheckKey(pkg, key string) bool
}

// Tokens checks core tokens of phones. An error means that the token is not
// valid; an empty user without an error, that it names nobody.
type Tokens interface {
	CoreUser(token string) (user string, err error)
}

// Stats counts since the start.
type Stats struct {
	Apps     int64  // sockets of apps that are open
	Phones   int64  // sockets of phones that are open
	Refused  uint64 // upgrades and handshakes that failed
	Overflow uint64 // sockets closed because their reader was too slow
	Dropped  uint64 // texts for glasses that a crowded socket had no room for
	Panics   uint64 // connections that a panic ended
}

// Gateway serves both websockets. Its handlers are safe for concurrent use.
// Make it with New and end it with Close.
type Gateway struct {
	sessions *session.Registry
	keys     Keys
	tokens   Tokens
	cfg      Config
	log      *slog.Logger
	bad      *auth.Throttle // addresses that present wrong keys

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // one per connection
	mu     sync.Mutex     // guards closed against wg
	closed bool

	apps, phones                       atomic.Int64
	refused, overflow, dropped, panics atomic.Uint64
}

// New returns a gateway to the sessions of a registry.
func New(sessions *session.Registry, keys Keys, tokens Tokens, cfg Config, log *slog.Logger) *Gateway {
	ctx, cancel := context.WithCancel(context.Background())
	return &Gateway{
		sessions: sessions, keys: keys, tokens: tokens, cfg: cfg.withDefaults(), log: log, ctx: ctx, cancel: cancel,
		bad: auth.NewThrottle(badKeys, badKeyEvery, time.Now),
	}
}

// Close refuses new connections and waits until every handler has returned.
// Close the registry first: it says goodbye on every socket, and the goodbyes
// get closeGrace to arrive before what is left is cut. Idempotent.
func (g *Gateway) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	cut := time.AfterFunc(closeGrace, g.cancel)
	defer cut.Stop()
	g.wg.Wait()
	g.cancel()
}

// Stats returns the counters of now.
func (g *Gateway) Stats() Stats {
	return Stats{
		Apps: g.apps.Load(), Phones: g.phones.Load(), Refused: g.refused.Load(),
		Overflow: g.overflow.Load(), Dropped: g.dropped.Load(), Panics: g.panics.Load(),
	}
}

// enter counts a connection in; false means that the gateway is closed.
func (g *Gateway) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.wg.Add(1)
	return true
}

// connection is one accepted websocket.
type connection struct {
	ws  *websocket.Conn
	out *writer
}

// serve upgrades a request and runs talk on the socket until it returns. The
// socket is closed and its goroutines are gone when serve returns.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request, idle time.Duration, talk func(context.Context, *connection)) {
	if !g.enter() {
		http.Error(w, "server is shutting down", http.StatusServiceUnavailable)
		return
	}
	defer g.wg.Done()
	// Peers prove themselves by a token or key, never by a cookie, so a page of
	// another origin gains nothing by connecting.
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		g.refused.Add(1)
		g.log.Debug("websocket upgrade failed", "remote", r.RemoteAddr, "error", err)
		return
	}
	ws.SetReadLimit(limitBefore)
	ctx, cancel := context.WithCancel(g.ctx)
	c := &connection{ws: ws, out: newWriter(ws, g.cfg.QueueBytes, g.cfg.WriteTimeout, &g.dropped, func() { g.overflow.Add(1) })}
	c.out.tapped.bus = g.cfg.Taps
	var children sync.WaitGroup
	children.Go(func() { c.out.Run(ctx) })
	children.Go(func() { g.keepAlive(ctx, cancel, c, idle) })
	defer func() {
		if cause := recover(); cause != nil {
			g.panics.Add(1)
			g.log.Error("connection panicked", "remote", r.RemoteAddr, "cause", cause, "stack", string(debug.Stack()))
			c.out.Close(int(websocket.StatusInternalError), "internal error")
		}
		c.out.Close(int(websocket.StatusNormalClosure), "")
		cancelAfter := time.AfterFunc(g.cfg.WriteTimeout, cancel)
		<-c.out.done // what was queued is written first
		cancelAfter.Stop()
		cancel()
		g.tellSlow(c.out)
		children.Wait()
	}()
	talk(ctx, c)
}

// tellSlow tells of a known peer whose socket ended because it read too slowly.
func (g *Gateway) tellSlow(w *writer) {
	if who := w.tapped.side.Load(); who != nil && w.slow() {
		g.cfg.Events.Publish(events.Event{Type: events.SocketSlow, Wearer: who.user, App: who.pkg})
	}
}

// keepAlive pings until the socket is closed. When no answer comes within idle
// it closes the socket, and cuts the connection soon after: a dead peer will not
// answer the close frame either.
func (g *Gateway) keepAlive(ctx context.Context, cut context.CancelFunc, c *connection, idle time.Duration) {
	ticker := time.NewTicker(g.cfg.PingInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-c.out.done:
			return
		}
		wait, cancel := context.WithTimeout(ctx, idle)
		err := c.ws.Ping(wait)
		cancel()
		if err != nil && ctx.Err() == nil {
			c.out.Close(int(websocket.StatusGoingAway), "no answer to pings")
			last := time.AfterFunc(closeGrace, cut)
			<-c.out.done
			last.Stop()
			return
		}
	}
}

// read returns the next frame.
func (c *connection) read(ctx context.Context) (text bool, frame []byte, err error) {
	kind, frame, err := c.ws.Read(ctx)
	if err == nil {
		c.out.tapped.passed(true, kind, frame)
	} else {
		c.out.tapped.brokeOff(err)
	}
	return kind == websocket.MessageText, frame, err
}

// goodbye says whether an error is a socket's ordinary end.
func goodbye(err error) bool {
	return websocket.CloseStatus(err) != -1 || errors.Is(err, context.Canceled)
}
