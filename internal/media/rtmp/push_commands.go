package rtmp

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/handshake"

	"glimpse/internal/media/flv"
	"glimpse/internal/media/frame"
)

// errSilent says that a server left without a word.
var errSilent = errors.New("rtmp: the server closed the connection")

// open shakes hands and asks for a stream (RTMP 1.0 §7.2), whose id it returns.
// Tracks whose codecs have four characters are named in connect. The key is named
// only when the stream is to be published.
func (c *Client) open(tracks []*frame.Track, publishing bool) (stream uint32, err error) {
	if _, _, err := handshake.DoClient(struct {
		io.Reader
		io.Writer
	}{c.chunks.br, c.conn}, false, false); err != nil {
		return 0, err
	}
	if err := c.send(2, typeSetChunkSize, 0, binary.BigEndian.AppendUint32(nil, outChunkSize)); err != nil {
		return 0, err
	}
	about := amf0.Object{
		{Key: "app", Value: c.target.app}, {Key: "type", Value: "nonprivate"},
		{Key: "flashVer", Value: "FMLE/3.0 (compatible; Glimpse)"}, {Key: "tcUrl", Value: c.target.tcURL},
	}
	var codes amf0.StrictArray
	for _, track := range tracks {
		if f, ok := track.Codec.(flv.Codec); ok && flv.FourCC(f) != "" {
			codes = append(codes, flv.FourCC(f))
		}
	}
	if codes != nil { // servers of old need not see it
		about = append(about, amf0.ObjectEntry{Key: "fourCcList", Value: codes})
	}
	if err := c.command(3, 0, "connect", 1, about); err != nil {
		return 0, err
	}
	if _, err := c.answer(1); err != nil {
		return 0, err
	}
	names := []string{"releaseStream", "FCPublish"} // some servers insist, none minds
	if !publishing {
		names = nil
	}
	for i, name := range names {
		if err := c.command(3, 0, name, float64(2+i), nil, c.target.key); err != nil {
			return 0, err
		}
	}
	if err := c.command(3, 0, "createStream", 4, nil); err != nil {
		return 0, err
	}
	result, err := c.answer(4)
	if err != nil {
		return 0, err
	}
	if len(result) > 3 {
		if id, ok := result[3].(float64); ok && id > 0 && id < 1<<31 {
			stream = uint32(id)
		}
	}
	if stream == 0 {
		return 0, errCommand
	}
	return stream, nil
}

// publish asks to publish.
func (c *Client) publish(stream uint32) error {
	if err := c.command(4, stream, "publish", 5, nil, c.target.key, "live"); err != nil {
		return err
	}
	_, err := c.answer(5)
	return err
}

const errCommand = protocolError("the server's answer makes no sense")

// command sends a command; a small one, so that it needs one chunk.
func (c *Client) command(chunkStream byte, stream uint32, name string, id float64, args ...any) error {
	body, err := append(amf0.Data{name, id}, args...).Marshal()
	if err != nil {
		return err
	}
	return c.send(chunkStream, typeCommand, stream, body)
}

// send writes a message of one chunk.
func (c *Client) send(chunkStream, kind byte, stream uint32, body []byte) error {
	if len(body) > outChunkSize {
		return ErrAddress // the only long thing is a key
	}
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	_, err := c.conn.Write(oneChunk(chunkStream, kind, stream, body))
	return err
}

// answer reads until the server answers command id, or with onStatus for the
// last one, publish.
func (c *Client) answer(id float64) (amf0.Data, error) {
	for {
		values, err := c.hear()
		if err != nil {
			return nil, err
		}
		if len(values) < 2 {
			continue
		}
		switch name := values[0]; {
		case name == "onStatus" && id == 5, name == "_result" && id != 5 && values[1] == id:
			return values, nil
		case name == "_error" && values[1] == id && id != 2 && id != 3:
			return nil, c.refusal(values)
		}
	}
}

// hear reads the next command; pings are answered, an onStatus of level error
// is an error.
func (c *Client) hear() (amf0.Data, error) {
	for {
		m, err := c.chunks.next()
		if err != nil {
			return nil, err
		}
		switch m.kind {
		case typeUserControl:
			if len(m.body) >= 6 && binary.BigEndian.Uint16(m.body) == 6 {
				c.mu.Lock()
				err := c.send(2, typeUserControl, 0, append([]byte{0, 7}, m.body[2:6]...))
				c.mu.Unlock()
				if err != nil {
					return nil, err
				}
			}
			continue
		case typeCommandAMF3:
			if len(m.body) > 0 {
				m.body = m.body[1:]
			}
		case typeCommand:
		default:
			continue
		}
		if err := checkAMF(m.body); err != nil {
			return nil, err
		}
		values, err := amf0.Unmarshal(m.body)
		if err != nil {
			return nil, errAMF
		}
		if len(values) > 3 && values[0] == "onStatus" && property(values[3], "level") == "error" {
			return nil, c.refusal(values)
		}
		return values, nil
	}
}

// refusal makes an error of the server's words, without the key and bounded.
func (c *Client) refusal(values amf0.Data) error {
	e := &RefusedError{}
	if len(values) > 3 {
		e.Code = c.clean(property(values[3], "code"))
		e.Description = c.clean(property(values[3], "description"))
	}
	return e
}

// clean makes a server's text fit to be logged: no key, no control characters,
// about 200 bytes at most.
func (c *Client) clean(s string) string {
	name, _, _ := strings.Cut(c.target.key, "?")
	for _, secret := range []string{c.target.key, name} {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "…")
		}
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "…"
	}
	return s
}

// property is a string in an AMF object, or "".
func property(v any, key string) string {
	o, _ := object(v)
	s, _ := o.GetString(key)
	return s
}

// listen reads what the server says until it is gone.
func (c *Client) listen() {
	defer close(c.done)
	defer c.conn.Close()
	var err error
	for err == nil {
		_, err = c.hear()
	}
	var refused *RefusedError
	var broken protocolError
	switch {
	case c.closing.Load():
		c.ended = ErrClosed
	case errors.As(err, &refused), errors.As(err, &broken):
		c.ended = err
	default:
		c.ended = errSilent
	}
}
