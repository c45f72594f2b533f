package load

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"glimpse/internal/media/srt/live"
)

// tsPacket is the size of a packet of MPEG-TS.
const tsPacket = 188

// SRT is a Reader of a transport stream: it joins what each packet carries of
// the pictures and looks for stamps there.
func SRT(ctx context.Context, url string, seen func(Stamp)) error {
	for {
		err := readSRT(ctx, url, seen)
		var refused *live.RefusedError
		if ctx.Err() != nil || !errors.As(err, &refused) {
			return ended(ctx, err)
		}
		time.Sleep(retry)
	}
}

func readSRT(ctx context.Context, url string, seen func(Stamp)) error {
	address, id, _ := strings.Cut(strings.TrimPrefix(url, "srt://"), "?streamid=")
	conn, err := live.Dial(ctx, address, live.Options{StreamID: id})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	var p tsPictures
	for {
		b, err := conn.Read()
		if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil {
			return err
		}
		for ; len(b) >= tsPacket; b = b[tsPacket:] {
			p.packet(b[:tsPacket], seen)
		}
	}
}

// tsPictures joins the pictures' bytes (ISO 13818-1 §2.4.3).
type tsPictures struct {
	pid  int // of the pictures; 0 before one began
	tail []byte
}

func (p *tsPictures) packet(b []byte, seen func(Stamp)) {
	pid := int(b[1]&0x1f)<<8 | int(b[2])
	body := b[4:]
	if b[3]&0x20 != 0 { // an adaptation field
		body = body[min(len(body), 1+int(body[0])):]
	}
	if b[1]&0x40 != 0 && len(body) > 4 && body[0] == 0 && body[1] == 0 && body[2] == 1 && body[3]&0xf0 == 0xe0 {
		p.pid = pid
	}
	if p.pid == 0 || pid != p.pid || b[3]&0x10 == 0 {
		return
	}
	p.tail = append(p.tail, body...)
	done := min(max(0, stamps(p.tail, seen)), len(p.tail))
	p.tail = append(p.tail[:0], p.tail[done:]...)
}
