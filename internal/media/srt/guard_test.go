package srt

import (
	"bytes"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/datarhei/gosrt/packet"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

// raw is a peer that writes packets by hand.
type raw struct {
	t      *testing.T
	conn   net.Conn
	cookie uint32
}

func newRaw(t *testing.T, r *rig) *raw {
	t.Helper()
	conn, err := net.Dial("udp", r.server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	p := &raw{t: t, conn: conn}
	answer := p.ask(handshake(1, 4, 0, 1500, 0, nil))
	p.cookie = binary.BigEndian.Uint32(answer[16+28:])
	return p
}

// ask sends a packet until there is an answer.
func (p *raw) ask(b []byte) []byte {
	p.t.Helper()
	buf := make([]byte, 1500)
	for range 20 {
		p.say(b)
		_ = p.conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		if n, err := p.conn.Read(buf); err == nil {
			return buf[:n]
		}
	}
	p.t.Fatal("no answer")
	return nil
}

func (p *raw) say(b []byte) {
	if _, err := p.conn.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// handshake builds a handshake packet (SRT draft §3.2.1): kind 1 is an induction,
// 0xffffffff a conclusion.
func handshake(kind, version, cookie, mtu uint32, extension uint16, blocks []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, 0x80000000)
	b = append(b, make([]byte, 12)...) // no time, socket 0
	b = binary.BigEndian.AppendUint32(b, version)
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint16(b, extension)
	for _, v := range []uint32{1, mtu, 8192, kind, 77, cookie} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return append(append(b, make([]byte, 16)...), blocks...)
}

// block is an extension with its length in words.
func block(kind uint16, body []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, kind)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(body)/4)), body...)
}

var (
	hello    = block(1, []byte{0, 1, 5, 0, 0, 0, 0, 0x3f, 0, 120, 0, 120})
	streamID = block(5, words("publish:a-key"))
)

// words turns a text into words of the other end, as stream ids are sent.
func words(s string) []byte {
	b := append([]byte(s), make([]byte, -len(s)&3)...)
	for word := range slices.Chunk(b, 4) {
		slices.Reverse(word)
	}
	return b
}

// Handshakes that are cut short, too small or without a right cookie do no harm:
// the server goes on, and nothing stays.
func TestMalformedHandshakes(t *testing.T) {
	r := newRig(t, Config{})
	r.open("a", 0)
	p := newRaw(t, r)
	conclusion := func(cookie, mtu uint32, blocks []byte) []byte {
		return handshake(0xffffffff, 5, cookie, mtu, 5, blocks)
	}
	for cut := 1; cut <= 3; cut++ { // the library reads four bytes of the next block
		p.say(conclusion(0, 1500, slices.Concat(hello, streamID[:cut])))
	}
	until(t, "three panics", func() bool { return r.server.Stats().Panics == 3 })
	r.panics = 3
	for _, b := range [][]byte{{}, {0x80}, bytes.Repeat([]byte{0xff}, 1500), conclusion(p.cookie, 1500, block(5, make([]byte, 600)))} {
		p.say(b)
	}
	code := func(b []byte) uint32 { return binary.BigEndian.Uint32(p.ask(b)[16+20:]) }
	if got := code(conclusion(p.cookie+1, 1500, slices.Concat(hello, streamID))); got != 1004 {
		t.Errorf("wrong cookie: %d", got)
	}
	if got := code(conclusion(p.cookie, 40, slices.Concat(hello, streamID))); got != 1004 {
		t.Errorf("packets of 40 bytes: %d", got)
	}
	if got := code(handshake(0xffffffff, 4, p.cookie, 1500, 2, nil)); got != 1008 {
		t.Errorf("version 4: %d", got)
	}
	if n := r.server.Stats(); n.Accepted != 0 || n.Refused < 2 {
		t.Errorf("%+v", n)
	}
	if got := code(conclusion(p.cookie, 1500, slices.Concat(hello, streamID))); got != 0xffffffff {
		t.Errorf("a right handshake: %d", got)
	}
}

func TestPlaces(t *testing.T) {
	r := newRig(t, Config{MaxPerAddr: 1})
	r.open("a", 0)
	first, err := Dial(t.Context(), r.url("publish:a-key"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if c, err := Dial(t.Context(), r.url("read:a-play"), Options{}); err == nil {
		_ = c.Close()
		t.Error("two connections where there is place for one")
	}
	_ = first.Close()
	until(t, "a free place", func() bool {
		c, err := Dial(t.Context(), r.url("publish:a-key"), Options{})
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// The library's parser of handshakes may panic, which Server.next recovers; it
// must not hang, and must not take a stream id that is longer than its packet.
func FuzzHandshake(f *testing.F) {
	f.Add(handshake(0xffffffff, 5, 1, 1500, 5, slices.Concat(hello, streamID))[16:])
	f.Add(handshake(0xffffffff, 5, 1, 1500, 5, hello[:9])[16:])
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1484 {
			return
		}
		defer func() { _ = recover() }()
		var h packet.CIFHandshake
		if h.Unmarshal(b) == nil && len(h.StreamId) > len(b) {
			t.Errorf("a streamid of %d bytes in %d", len(h.StreamId), len(b))
		}
	})
}

// strict is a sink that wants what the hub wants.
type strict struct {
	t        *testing.T
	expected bool
	pictures []time.Duration
}

func (s *strict) ExpectAudio()                { s.expected = true }
func (s *strict) SetTrack(*frame.Track) error { return nil }

func (s *strict) Video(pts, _ time.Duration, _ bool, payload []byte) error {
	if !codec.ValidAVCC(payload) {
		s.t.Errorf("a picture of % x", payload)
	}
	s.pictures = append(s.pictures, pts)
	return nil
}

func (s *strict) Audio(_ time.Duration, payload []byte) error {
	if len(payload) == 0 {
		s.t.Error("empty sound")
	}
	return nil
}

func FuzzDemuxer(f *testing.F) {
	pat := append([]byte{0x47, 0x40, 0, 0x10, 0, 0, 0xb0, 13, 0, 1, 0xc1, 0, 0, 0, 1, 0xf0, 0, 0, 0, 0, 0}, bytes.Repeat([]byte{0xff}, 167)...)
	pmt := append([]byte{0x47, 0x50, 0, 0x10, 0, 2, 0xb0, 23, 0, 1, 0xc1, 0, 0, 0xe1, 0, 0xf0, 0, 0x1b, 0xe1, 0, 0xf0, 0, 0x0f, 0xe1, 1, 0xf0, 0, 0, 0, 0, 0}, bytes.Repeat([]byte{0xff}, 157)...)
	pes := append([]byte{0x47, 0x41, 0, 0x10, 0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5, 0x21, 0, 1, 0, 1, 0, 0, 0, 1, 0x65}, bytes.Repeat([]byte{1}, 165)...)
	f.Add(slices.Concat(pat, pmt, pes, pes))
	f.Add(slices.Concat(pat[:100], pmt, pes))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newDemuxer(&strict{t: t}, slog.New(slog.NewTextHandler(io.Discard, nil)))
		for len(b) > 0 { // in pieces that are no whole packets
			n := min(len(b), 131)
			if d.write(b[:n]) != nil {
				return
			}
			b = b[n:]
		}
	})
}

func TestClock(t *testing.T) {
	const wrap = 1 << 33
	var c clock
	for i, tc := range []struct {
		ts   int64
		want time.Duration
	}{
		{wrap - 90000, wrap/90000*time.Second + time.Second*(wrap%90000)/90000 - time.Second},
		{wrap - 180000, wrap/90000*time.Second + time.Second*(wrap%90000)/90000 - 2*time.Second},
		{90000, wrap/90000*time.Second + time.Second*(wrap%90000)/90000 + time.Second},
		{wrap - 90000, wrap/90000*time.Second + time.Second*(wrap%90000)/90000 - time.Second},
	} {
		if got := c.unwrap(tc.ts); (got - tc.want).Abs() > time.Nanosecond {
			t.Errorf("%d: %v, want %v", i, got, tc.want)
		}
	}
}
