package rtmp

import (
	"encoding/binary"
	"errors"
	"time"

	"glimpse/internal/media/hub"
	"glimpse/internal/media/serve"
)

// The codes of refusals that encoders show their users.
const (
	codeDenied   = "NetStream.Publish.Denied"   // unknown key or address
	codeRejected = "NetStream.Publish.Rejected" // anything else
)

// ingest is a connection that publishes.
type ingest struct{ *conn }

var _ serve.Publisher = (*ingest)(nil)

// Accept tells the peer that it may publish, and expects more of it.
func (c *ingest) Accept() error {
	if err := c.accept(); err != nil {
		return err
	}
	c.chunks.grant()
	return nil
}

// Refuse sends the reason as a status of NetStream.
func (c *ingest) Refuse(why error) error {
	code := codeRejected
	if errors.Is(why, hub.ErrUnknownKey) {
		code = codeDenied
	}
	return c.refuse(code, why.Error())
}

// Wake ends the reads of Ingest.
func (c *ingest) Wake() { _ = c.nc.SetReadDeadline(time.Unix(1, 0)) }

// Reason is an error without anything that the peer sent.
func (c *ingest) Reason(err error) string { return reason(err) }

// errUnpublished says that the publisher said goodbye.
const errUnpublished = protocolError("publisher stopped")

// Ingest reads messages until the peer stops, falls silent or is let go.
func (c *ingest) Ingest(pub *hub.Publisher) error {
	d := demuxer{Intake: serve.Intake{Out: pub, Log: c.log}}
	var armed time.Time
	acked := c.chunks.received
	for {
		if now := time.Now(); now.Sub(armed) > c.srv.times.idle/6 {
			armed = now
			if err := c.nc.SetReadDeadline(now.Add(c.srv.times.idle)); err != nil {
				return err
			}
		}
		if c.chunks.dry() && pub.Calm() {
			c.chunks.src.quiet.begin()
			pub.Rest()
		}
		// After the deadline was set: Wake may have been called before.
		if err := pub.Err(); err != nil {
			return err
		}
		m, err := c.chunks.next()
		if err != nil {
			return err
		}
		if c.chunks.received-acked >= c.chunks.window {
			acked = c.chunks.received
			if err := c.control(typeAck, binary.BigEndian.AppendUint32(nil, acked)); err != nil {
				return err
			}
		}
		if m.kind == typeUserControl {
			err = c.pong(m.body)
		} else {
			err = d.message(m)
		}
		if err != nil {
			return err
		}
	}
}

// pong answers a ping (RTMP 1.0 §7.1.7: event 6, answered by 7).
func (c *conn) pong(body []byte) error {
	if len(body) < 6 || binary.BigEndian.Uint16(body) != 6 {
		return nil
	}
	return c.control(typeUserControl, append([]byte{0, 7}, body[2:6]...))
}
