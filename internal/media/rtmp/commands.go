package rtmp

import (
	"encoding/binary"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/handshake"
)

// handshakeSize is what a client sends in the handshake: C0, C1 and C2 (RTMP 1.0 §5.2).
const handshakeSize = 1 + 1536 + 1536

const (
	errVersion   = protocolError("not an RTMP connection, or an encrypted one (RTMPE)")
	errMalformed = protocolError("malformed command")
)

// The chunk streams of commands, as most servers have them, and what a server
// calls the only message stream.
const (
	connectionStream = 3
	statusStream     = 5
	theStream        = 1
)

// shaking gives the library the bytes of the handshake and no more.
type shaking struct {
	*conn
	left int
}

func (s *shaking) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	if s.left == handshakeSize {
		b, err := s.chunks.br.Peek(1)
		if err != nil {
			return 0, err
		}
		if b[0] != 3 {
			return 0, errVersion
		}
	}
	n, err := s.chunks.br.Read(p[:min(len(p), s.left)])
	s.left -= n
	s.chunks.received += uint32(n)
	return n, err
}

func (s *shaking) Write(p []byte) (int, error) { return s.nc.Write(p) }

// shake shakes hands; the library knows the digests that some players want.
func (c *conn) shake() error {
	_, _, err := handshake.DoServer(&shaking{c, handshakeSize}, false)
	return err
}

// wish is what a peer asks for, and what it said of itself.
type wish struct {
	publish bool
	id      float64 // of the command, which the answers repeat
	url     *url.URL
	takes   map[string]bool // the codecs beyond H.264 and AAC that it decodes, by four characters; "*": all
}

// negotiate hears connect and what follows up to publish or play.
func (c *conn) negotiate() (wish, error) {
	var w wish
	values, err := c.hear()
	if err != nil {
		return w, err
	}
	if values[0] != "connect" || len(values) < 3 {
		return w, errMalformed
	}
	asked, ok := object(values[2])
	address, named := asked.GetString("tcUrl")
	if !named {
		address, named = asked.GetString("tcurl")
	}
	if !ok || !named {
		return w, errMalformed
	}
	w.takes = fourCCs(asked)
	if err := c.connected(values[1]); err != nil {
		return w, err
	}
	for {
		if values, err = c.hear(); err != nil {
			return w, err
		}
		switch values[0] {
		case "createStream":
			if err := c.say(connectionStream, 0, "_result", values[1], nil, float64(theStream)); err != nil {
				return w, err
			}
		case "publish", "play":
			if len(values) < 4 {
				return w, errMalformed
			}
			name, isText := values[3].(string)
			w.publish = values[0] == "publish"
			w.id, _ = values[1].(float64)
			address = strings.Trim(address, "'")
			if name != "" && name[0] != '?' {
				address += "/" + name
			}
			if w.url, err = url.Parse(address); err != nil || !isText {
				return w, errMalformed
			}
			return w, nil
		}
	}
}

// hear reads the next command: its name, its number and what else it says.
func (c *conn) hear() (amf0.Data, error) {
	for {
		m, err := c.chunks.next()
		if err != nil {
			return nil, err
		}
		if m.kind == typeCommandAMF3 && len(m.body) > 0 { // AMF0 behind a byte of format
			m.kind, m.body = typeCommand, m.body[1:]
		}
		if m.kind != typeCommand {
			continue
		}
		if err := checkAMF(m.body); err != nil {
			return nil, err
		}
		values, err := amf0.Unmarshal(m.body)
		if err != nil || len(values) < 2 {
			return nil, errMalformed
		}
		return values, nil
	}
}

// connected answers connect. A peer reads in it what may be published here beyond
// H.264 and AAC (Enhanced RTMP v2, connect): all of it is passed on.
func (c *conn) connected(number any) error {
	window := binary.BigEndian.AppendUint32(nil, defaultWindow)
	for _, m := range []struct {
		kind byte
		body []byte
	}{
		{typeWindowAck, window},
		{typePeerBandwidth, append(window[:4:4], 2)},
		{typeSetChunkSize, binary.BigEndian.AppendUint32(nil, outChunkSize)},
	} {
		if err := c.control(m.kind, m.body); err != nil {
			return err
		}
	}
	entry := func(key string, value any) amf0.ObjectEntry { return amf0.ObjectEntry{Key: key, Value: value} }
	var list amf0.StrictArray
	infos := map[bool]amf0.Object{}
	for _, code := range ownFourCCs {
		list = append(list, code.name)
		infos[code.video] = append(infos[code.video], entry(code.name, float64(canForward)))
	}
	return c.say(connectionStream, 0, "_result", number,
		amf0.Object{entry("fmsVer", "FMS/3,5,7,7009"), entry("capabilities", float64(31))},
		amf0.Object{
			entry("level", "status"), entry("code", "NetConnection.Connect.Success"), entry("description", "Connection succeeded."),
			entry("objectEncoding", float64(0)), entry("fourCcList", list), entry("videoFourCcInfoMap", infos[true]),
			entry("audioFourCcInfoMap", infos[false]), entry("capsEx", float64(0)),
		})
}

// What a peer can do with a codec (Enhanced RTMP v2, FourCcInfoMask).
const (
	canDecode  = 1
	canForward = 4
)

// ownFourCCs are the codecs that may be published by their four characters.
var ownFourCCs = [...]struct {
	name  string
	video bool
}{{"avc1", true}, {"hvc1", true}, {"av01", true}, {"mp4a", false}, {"Opus", false}}

// fourCCs are the codecs that a player says it takes, by either version of
// Enhanced RTMP.
func fourCCs(asked amf0.Object) map[string]bool {
	takes := map[string]bool{}
	if v, ok := asked.Get("fourCcList"); ok {
		list, _ := v.(amf0.StrictArray)
		for _, code := range list {
			if name, ok := code.(string); ok {
				takes[name] = true
			}
		}
	}
	for _, key := range []string{"videoFourCcInfoMap", "audioFourCcInfoMap"} {
		v, _ := asked.Get(key)
		infos, _ := object(v)
		for _, e := range infos {
			if mask, ok := e.Value.(float64); ok && int(mask)&(canDecode|canForward) != 0 {
				takes[e.Key] = true
			}
		}
	}
	return takes
}

// object is an AMF object, or an array with names.
func object(v any) (amf0.Object, bool) {
	switch v := v.(type) {
	case amf0.Object:
		return v, true
	case amf0.ECMAArray:
		return amf0.Object(v), true
	}
	return nil, false
}

// accept tells the peer that it may publish or play.
func (c *conn) accept() error {
	if c.wish.publish {
		if err := c.status("status", "NetStream.Publish.Start", "publishing may begin"); err != nil {
			return err
		}
		c.served()
		return nil
	}
	for _, event := range []byte{4, 0} { // the stream is recorded, and begins (RTMP 1.0 §7.1.7)
		if err := c.control(typeUserControl, []byte{0, event, 0, 0, 0, theStream}); err != nil {
			return err
		}
	}
	for _, code := range []string{"NetStream.Play.Reset", "NetStream.Play.Start", "NetStream.Data.Start", "NetStream.Play.PublishNotify"} {
		if err := c.status("status", code, "playing begins"); err != nil {
			return err
		}
	}
	c.served()
	return nil
}

// status tells the peer something; level is "error" or "status".
func (c *conn) status(level, code, description string) error {
	return c.say(statusStream, theStream, "onStatus", c.wish.id, nil, amf0.Object{
		{Key: "level", Value: level}, {Key: "code", Value: code}, {Key: "description", Value: description},
	})
}

// say sends a command.
func (c *conn) say(chunkStream byte, stream uint32, values ...any) error {
	body, err := amf0.Data(values).Marshal()
	if err != nil {
		return err
	}
	return c.post(chunkStream, typeCommand, stream, body)
}

// control sends a message about the connection itself, on chunk stream 2.
func (c *conn) control(kind byte, body []byte) error { return c.post(2, kind, 0, body) }

// post sends a message of one chunk.
func (c *conn) post(chunkStream, kind byte, stream uint32, body []byte) error {
	if err := c.nc.SetWriteDeadline(time.Now().Add(c.srv.times.write)); err != nil {
		return err
	}
	_, err := c.nc.Write(oneChunk(chunkStream, kind, stream, body))
	return err
}

// oneChunk is a message with a full header; it fits into one chunk.
func oneChunk(chunkStream, kind byte, stream uint32, body []byte) []byte {
	n := len(body)
	b := append(make([]byte, 0, 12+n), chunkStream, 0, 0, 0, byte(n>>16), byte(n>>8), byte(n), kind)
	return append(binary.LittleEndian.AppendUint32(b, stream), body...)
}
