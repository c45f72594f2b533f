package rtmp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"glimpse/internal/media/hub"
	"glimpse/internal/media/serve"
	"glimpse/internal/strangers"
)

// conn is one accepted connection up to the point where it publishes or plays.
type conn struct {
	srv      *Server
	nc       net.Conn // what is read and written: TCP or TLS
	tcp      net.Conn // below nc, as the system knows it
	place    *serve.Place
	stranger *strangers.Place // until it is served
	log      *slog.Logger
	chunks   *chunkReader
	wish     wish
}

func newConn(s *Server, nc net.Conn, place *serve.Place) *conn {
	c := &conn{srv: s, nc: nc, tcp: strangers.Bare(nc), place: place, stranger: strangers.PlaceOf(nc), log: s.log.With("remote", nc.RemoteAddr().String())}
	if s.cfg.TLS != nil {
		c.nc = seal(nc, tls.Server, s.cfg.TLS)
	}
	c.chunks = newChunkReader(c.nc, strangerLimits())
	return c
}

// run shakes hands, hears what the peer wants and does it.
func (c *conn) run(ctx context.Context) error {
	accepted := time.Now()
	if err := c.nc.SetDeadline(accepted.Add(c.srv.times.handshake)); err != nil {
		return err
	}
	if err := c.shake(); err != nil {
		return err
	}
	if err := c.nc.SetReadDeadline(accepted.Add(c.srv.times.action)); err != nil {
		return err
	}
	var err error
	if c.wish, err = c.negotiate(); err != nil {
		return err
	}
	name, ok := streamName(c.wish.url, c.srv.cfg.App)
	switch {
	case c.wish.publish && !ok:
		return c.refuse(codeDenied, c.badAddress())
	case c.wish.publish:
		info := hub.PublisherInfo{Protocol: c.srv.protocol(), Remote: c.nc.RemoteAddr().String()}
		return c.srv.Publish(c.srv.hub, name, info, c.log, &ingest{c})
	case !ok:
		return c.refuse(codeNotFound, c.badAddress())
	}
	return c.srv.Play(ctx, c.srv.hub, name, c.srv.times.start, c.log, serve.Viewer{Remote: c.nc.RemoteAddr().String()}, &play{c})
}

// refuse tells the peer why it is let go and sees to it that it can read it: a
// close with unread bytes would reset the connection and lose the message.
func (c *conn) refuse(code, description string) error {
	if err := c.status("error", code, description); err != nil {
		return err
	}
	c.closeWrite()
	_ = c.nc.SetReadDeadline(time.Now().Add(c.srv.times.linger))
	_, _ = io.CopyN(io.Discard, c.chunks.br, 4<<20)
	return errRefused
}

// served says that the peer was let in: it is no stranger any more.
func (c *conn) served() {
	c.place.Served()
	c.stranger.Leave()
}

// writes is where much is written at once: a TCP connection takes all in one call.
func (c *conn) writes() net.Conn {
	if c.srv.cfg.TLS != nil {
		return c.nc
	}
	return c.tcp
}

// closeWrite ends our side of the connection.
func (c *conn) closeWrite() {
	if w, ok := c.nc.(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite()
	}
}

const errRefused = protocolError("refused")

// streamName is what stands behind the application's name in the URL's path: an
// ingest key or a playback id.
func streamName(u *url.URL, app string) (string, bool) {
	name, ok := strings.CutPrefix(strings.Trim(u.Path, "/"), app+"/")
	return name, ok && serve.ValidName(name)
}

// badAddress explains what an address must look like.
func (c *conn) badAddress() string {
	return fmt.Sprintf("the address must be %s://host/%s/NAME, with %s as NAME", c.srv.protocol(), c.srv.cfg.App, serve.NameRule)
}

// reason says why a connection ended, without anything that the peer sent: the
// library's errors repeat commands, and those hold keys.
func reason(err error) string {
	var p protocolError
	var n net.Error
	switch {
	case errors.As(err, &p):
		return p.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed by the peer"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "timed out"
	case errors.As(err, &n), errors.Is(err, net.ErrClosed):
		return "connection lost"
	}
	return "malformed command"
}
