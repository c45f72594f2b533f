package rtmp

import (
	"encoding/binary"
	"errors"
	"time"

	"glimpse/internal/media/flv"
	"glimpse/internal/media/hub"
)

// The codes of refusals that encoders show their users.
const (
	codeDenied   = "NetStream.Publish.Denied"   // unknown key or address
	codeRejected = "NetStream.Publish.Rejected" // anything else
)

// publish takes the peer's media into the hub. The key is checked before the
// peer is told to go ahead.
func (c *conn) publish(key string, ok bool) error {
	if !ok {
		return c.refuse(codeDenied, c.badAddress())
	}
	pub, err := c.srv.hub.Publish(key, hub.PublisherInfo{Protocol: c.protocol(), Remote: c.nc.RemoteAddr().String()})
	if err != nil {
		code := codeRejected
		if errors.Is(err, hub.ErrUnknownKey) {
			code = codeDenied
		}
		c.log.Info("rtmp publisher refused", "reason", err)
		return c.refuse(code, err.Error())
	}
	defer pub.Close()
	c.log = c.log.With("stream", pub.Stream().ID())
	if err := c.accept(); err != nil {
		return err
	}
	c.chunks.grant()
	c.log.Info("rtmp publisher connected")
	err = c.ingest(pub)
	if why := pub.Err(); why != nil {
		err = why
	}
	if public := publicReason(err); public != "" {
		c.log.Info("rtmp publisher let go", "reason", public)
		return c.refuse(codeRejected, public)
	}
	c.log.Info("rtmp publisher left", "reason", reason(err))
	return err
}

// publicReason is what the publisher may be told, or "" when it is gone.
func publicReason(err error) string {
	var unsupported *flv.UnsupportedError
	if errors.As(err, &unsupported) {
		return unsupported.Error()
	}
	for _, known := range []error{hub.ErrSuperseded, hub.ErrEnded, hub.ErrRefused, hub.ErrNoKeyFrame} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return ""
}

// errUnpublished says that the publisher said goodbye.
const errUnpublished = protocolError("publisher stopped")

// ingest reads messages until the peer stops, falls silent or is let go.
func (c *conn) ingest(pub *hub.Publisher) error {
	left := make(chan struct{})
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		defer c.srv.recoverPanic()
		select {
		case <-pub.Done(): // wakes the read below
			_ = c.nc.SetReadDeadline(time.Unix(1, 0))
		case <-left:
		}
	}()
	defer func() { close(left); <-watching }()

	d := demuxer{out: pub, log: c.log}
	var armed time.Time
	acked := c.chunks.received
	for {
		if now := time.Now(); now.Sub(armed) > c.srv.times.idle/6 {
			armed = now
			if err := c.nc.SetReadDeadline(now.Add(c.srv.times.idle)); err != nil {
				return err
			}
		}
		// After the deadline was set: the goroutine above may have done it before.
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

// control sends a message about the connection itself, on chunk stream 2.
func (c *conn) control(kind byte, body []byte) error {
	if err := c.nc.SetWriteDeadline(time.Now().Add(c.srv.times.write)); err != nil {
		return err
	}
	_, err := c.nc.Write(append([]byte{2, 0, 0, 0, 0, 0, byte(len(body)), kind, 0, 0, 0, 0}, body...))
	return err
}
