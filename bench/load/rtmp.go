package load

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/handshake"
)

// retry is how often a stream that is not live is asked for again.
const retry = 5 * time.Millisecond

// RTMP is a Reader: it keeps no message, only the end of each picture.
func RTMP(ctx context.Context, rawURL string, seen func(Stamp)) error {
	for {
		began := time.Now()
		err := readRTMP(ctx, rawURL, seen)
		if ctx.Err() != nil || err == nil || time.Since(began) > time.Second {
			return ended(ctx, err)
		}
		time.Sleep(retry) // refused: not live yet
	}
}

func readRTMP(ctx context.Context, rawURL string, seen func(Stamp)) error {
	u, err := url.Parse(rawURL)
	if err != nil {
		return err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	p := &rtmpPlayer{w: conn, r: bufio.NewReaderSize(conn, 64<<10), chunk: 128, streams: map[byte]*rtmpMessage{}, seen: seen}
	if err := p.ask(u); err != nil {
		return err
	}
	for {
		if err := p.next(); err != nil {
			return err
		}
	}
}

// rtmpPlayer is one connection.
type rtmpPlayer struct {
	w       io.Writer
	r       *bufio.Reader
	chunk   int
	streams map[byte]*rtmpMessage
	seen    func(Stamp)
	tail    [stampSize]byte
}

// rtmpMessage is what the chunks of one chunk stream refer back to.
type rtmpMessage struct {
	kind         byte
	length, left int
	extended     bool
}

// The message types that matter (RTMP 1.0 §5.4, §7.1).
const (
	rtmpChunkSize = 1
	rtmpVideo     = 9
	rtmpCommand   = 20
)

// ask shakes hands and asks to play. The answers are read with the media.
func (p *rtmpPlayer) ask(u *url.URL) error {
	rw := struct {
		io.Reader
		io.Writer
	}{p.r, p.w}
	if _, _, err := handshake.DoClient(rw, false, false); err != nil {
		return err
	}
	app, name := path.Split(strings.TrimPrefix(u.Path, "/"))
	app = strings.TrimSuffix(app, "/")
	tcURL := u.Scheme + "://" + u.Host + "/" + app
	err := errors.Join(
		p.command(0, "connect", 1, amf0.Object{{Key: "app", Value: app}, {Key: "flashVer", Value: "LNX 9,0,124,2"}, {Key: "tcUrl", Value: tcURL}, {Key: "objectEncoding", Value: 0.0}}),
		p.command(0, "createStream", 2, nil),
	)
	for answers := 0; err == nil && answers < 2; {
		var m *rtmpMessage
		var body []byte
		if m, body, err = p.message(); err == nil && m.kind == rtmpCommand {
			if isNamed(body, "_error") {
				return errors.New("rtmp: refused")
			}
			answers++
		}
	}
	if err != nil {
		return err
	}
	return p.command(1, "play", 3, nil, name)
}

// isNamed reports whether a command is of this name.
func isNamed(body []byte, name string) bool {
	return len(body) > 3+len(name) && string(body[3:3+len(name)]) == name
}

func (p *rtmpPlayer) command(stream uint32, values ...any) error {
	body, err := amf0.Data(numbers(values)).Marshal()
	if err != nil {
		return err
	}
	b := []byte{3, 0, 0, 0, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body)), rtmpCommand}
	b = binary.LittleEndian.AppendUint32(b, stream)
	for first := true; len(body) > 0; first = false {
		if !first {
			b = append(b, 0xc3)
		}
		n := min(len(body), 128)
		b, body = append(b, body[:n]...), body[n:]
	}
	_, err = p.w.Write(b)
	return err
}

// numbers makes AMF0 numbers of integers.
func numbers(values []any) []any {
	for i, v := range values {
		if n, ok := v.(int); ok {
			values[i] = float64(n)
		}
	}
	return values
}

// message reads a whole message, before there are media.
func (p *rtmpPlayer) message() (*rtmpMessage, []byte, error) {
	var body []byte
	for {
		m, n, err := p.header()
		if err != nil {
			return nil, nil, err
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(p.r, b); err != nil {
			return nil, nil, err
		}
		body = append(body, b...) // servers do not interleave commands
		if m.left == 0 {
			p.obey(m, body)
			return m, body, nil
		}
	}
}

func (p *rtmpPlayer) obey(m *rtmpMessage, body []byte) {
	if m.kind == rtmpChunkSize && len(body) >= 4 {
		p.chunk = int(binary.BigEndian.Uint32(body))
	}
}

// header reads a chunk's header and says how many bytes of it follow.
func (p *rtmpPlayer) header() (m *rtmpMessage, n int, err error) {
	first, err := p.r.ReadByte()
	if err != nil {
		return nil, 0, err
	}
	id := first & 0x3f
	if id < 2 {
		return nil, 0, errors.New("rtmp: a long chunk stream id")
	}
	if m = p.streams[id]; m == nil {
		m = &rtmpMessage{}
		p.streams[id] = m
	}
	if format := first >> 6; format < 3 {
		b, err := p.take(11 - 4*int(format))
		if err != nil {
			return nil, 0, err
		}
		m.extended = b[0] == 0xff && b[1] == 0xff && b[2] == 0xff
		if format < 2 {
			m.length, m.kind = int(b[3])<<16|int(b[4])<<8|int(b[5]), b[6]
		}
	}
	if m.extended {
		if _, err := p.take(4); err != nil {
			return nil, 0, err
		}
	}
	if m.left == 0 {
		m.left = m.length
	}
	n = min(m.left, p.chunk)
	m.left -= n
	return m, n, nil
}

// take returns the next few bytes.
func (p *rtmpPlayer) take(n int) ([]byte, error) {
	b, err := p.r.Peek(n)
	if err == nil {
		_, err = p.r.Discard(n)
	}
	return b, err
}

// next passes over a chunk, but for the last bytes of a picture.
func (p *rtmpPlayer) next() error {
	m, n, err := p.header()
	if err != nil {
		return err
	}
	switch {
	case m.kind == rtmpVideo && m.length > stampSize && m.left < stampSize:
		// A stamp is cut by a chunk's end when less than it is left, or n is shorter.
		have := min(n, stampSize-m.left)
		if _, err := p.r.Discard(n - have); err != nil {
			return err
		}
		at := stampSize - m.left - have
		if _, err := io.ReadFull(p.r, p.tail[at:at+have]); err != nil {
			return err
		}
		if m.left == 0 {
			stamps(p.tail[:], p.seen)
		}
		return nil
	case m.kind == rtmpChunkSize || m.kind == rtmpCommand:
		body := make([]byte, n)
		if _, err := io.ReadFull(p.r, body); err != nil {
			return err
		}
		p.obey(m, body)
		if m.kind == rtmpCommand && (strings.Contains(string(body), "StreamNotFound") || strings.Contains(string(body), "Play.Failed")) {
			return fmt.Errorf("rtmp: refused")
		}
		return nil
	}
	_, err = p.r.Discard(n)
	return err
}
