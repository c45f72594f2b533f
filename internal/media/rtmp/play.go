package rtmp

import (
	"context"
	"errors"
	"io"
	"time"

	"glimpse/internal/media/serve"
)

const (
	codeNotFound = "NetStream.Play.StreamNotFound"
	codeFailed   = "NetStream.Play.Failed" // the stream is there, but not for this player

	// playBuffer bounds what the kernel keeps for a slow player, besides what it has
	// sent already, so that the hub drops for it instead of the player falling ever
	// further behind. Where the kernel can it keeps less: keepShort.
	playBuffer = 512 << 10
)

// play is a connection that watches.
type play struct{ *conn }

var _ serve.Player = (*play)(nil)

// Accept tells the peer that it may play.
func (c *play) Accept() error {
	if err := c.accept(); err != nil {
		return err
	}
	if b, ok := c.tcp.(interface{ SetWriteBuffer(int) error }); ok {
		_ = b.SetWriteBuffer(playBuffer)
	}
	keepShort(c.tcp)
	return c.nc.SetReadDeadline(time.Time{})
}

// Refuse sends the reason as a status of NetStream. A peer that was let in is
// still heard: End closes.
func (c *play) Refuse(why error) error {
	code := codeNotFound
	if cannot := (*serve.CarryError)(nil); errors.As(why, &cannot) {
		code = codeFailed
	}
	if c.place.IsServed() {
		return c.status("error", code, why.Error())
	}
	return c.refuse(code, why.Error())
}

// Hear reads what a player says until it says goodbye or is gone.
func (c *play) Hear() error {
	for {
		m, err := c.chunks.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case (m.kind == typeCommand || m.kind == typeCommandAMF3) && goodbye(m) != nil:
			return nil
		}
	}
}

// Writer writes chunks to the connection.
func (c *play) Writer(context.Context) serve.Writer {
	w := newMediaWriter(c.writes(), theStream, c.srv.times.write)
	w.takes = func(code string) bool { return c.wish.takes[code] || c.wish.takes["*"] }
	return w
}

// End tells a player that the stream is over (RTMP 1.0 §7.1.7: stream EOF). It
// may read to the end of what was sent: it closes when it has.
func (c *play) End(_ context.Context, err error) {
	if errors.Is(err, io.EOF) {
		_ = c.control(typeUserControl, []byte{0, 1, 0, 0, 0, 1})
		_ = c.status("status", "NetStream.Play.UnpublishNotify", "the stream is over")
		_ = c.status("status", "NetStream.Play.Stop", "the stream is over")
	}
	c.closeWrite()
	_ = c.nc.SetReadDeadline(time.Now().Add(c.srv.times.linger))
}
