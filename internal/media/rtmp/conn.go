package rtmp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/bluenviron/gortmplib"
	"github.com/bluenviron/gortmplib/pkg/amf0"
	gomessage "github.com/bluenviron/gortmplib/pkg/message"
)

// conn is one accepted connection up to the point where it publishes or plays.
type conn struct {
	srv    *Server
	nc     net.Conn // what is read and written: TCP or TLS
	tcp    net.Conn // below nc
	from   netip.Addr
	log    *slog.Logger
	chunks *chunkReader
	lib    *gortmplib.ServerConn
	served bool // counted by the gate as served
}

func newConn(s *Server, nc net.Conn, from netip.Addr) *conn {
	c := &conn{srv: s, nc: nc, tcp: nc, from: from, log: s.log.With("remote", nc.RemoteAddr().String())}
	if s.cfg.TLS != nil {
		c.nc = tls.Server(nc, s.cfg.TLS)
	}
	c.chunks = newChunkReader(c.nc, strangerLimits(), &s.strangers)
	return c
}

// close ends the connection at once.
func (c *conn) close() {
	_ = c.tcp.Close()
	c.chunks.release()
	c.srv.gate.leave(c.from, !c.served)
}

// run shakes hands, hears what the peer wants and does it.
func (c *conn) run(ctx context.Context) error {
	accepted := time.Now()
	if err := c.nc.SetDeadline(accepted.Add(c.srv.times.handshake)); err != nil {
		return err
	}
	f := &feed{conn: c.nc, chunks: c.chunks, shake: handshakeSize, until: accepted.Add(c.srv.times.action)}
	c.lib = &gortmplib.ServerConn{RW: f}
	if err := c.lib.Initialize(); err != nil {
		return err
	}
	if err := c.lib.AcceptConn(); err != nil {
		return err
	}
	name, ok := streamName(c.lib.URL, c.srv.cfg.App)
	if c.lib.Publish {
		return c.publish(name, ok)
	}
	return c.play(ctx, name, ok)
}

// accept tells the peer that it may publish or play.
func (c *conn) accept() error {
	if err := c.nc.SetWriteDeadline(time.Now().Add(c.srv.times.write)); err != nil {
		return err
	}
	if err := c.lib.AcceptAction(); err != nil {
		return err
	}
	c.srv.gate.served(c.from)
	c.served = true
	return nil
}

// protocol is the name of what the peer speaks.
func (c *conn) protocol() string {
	if c.srv.cfg.TLS != nil {
		return "rtmps"
	}
	return "rtmp"
}

// status tells the peer something; level is "error" or "status".
func (c *conn) status(level, code, description string) error {
	if err := c.nc.SetWriteDeadline(time.Now().Add(c.srv.times.write)); err != nil {
		return err
	}
	return c.lib.Write(&gomessage.CommandAMF0{
		ChunkStreamID: 5, MessageStreamID: 1 << 24, Name: "onStatus",
		Arguments: []any{nil, amf0.Object{
			{Key: "level", Value: level}, {Key: "code", Value: code}, {Key: "description", Value: description},
		}},
	})
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
	return name, ok && validName(name)
}

// validName reports whether a name has 1 to 128 of the allowed characters.
func validName(s string) bool {
	if len(s) == 0 || len(s) > 128 {
		return false
	}
	for _, r := range []byte(s) {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && !strings.ContainsRune("_.@+-", rune(r)) {
			return false
		}
	}
	return true
}

// badAddress explains what an address must look like.
func (c *conn) badAddress() string {
	return fmt.Sprintf("the address must be rtmp://host/%s/NAME, with 1 to 128 letters, digits or _.@+- as NAME", c.srv.cfg.App)
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
