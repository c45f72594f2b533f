package live

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"glimpse/internal/media/udp"
)

// raw is a peer that writes packets by hand.
type raw struct {
	t    *testing.T
	conn net.Conn
}

func newRaw(t *testing.T, l *Listener) *raw {
	t.Helper()
	conn, err := net.Dial("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &raw{t, conn}
}

// ask sends packets and returns the kind of handshake that comes back, 0 when
// nothing does.
func (p *raw) ask(wait time.Duration, packets ...[]byte) (shake handshake) {
	p.t.Helper()
	for _, b := range packets {
		if _, err := p.conn.Write(b); err != nil {
			p.t.Fatal(err)
		}
	}
	buf := make([]byte, 1500)
	_ = p.conn.SetReadDeadline(time.Now().Add(wait))
	n, err := p.conn.Read(buf)
	if err != nil {
		return handshake{}
	}
	shake, err = parseHandshake(buf[headerSize:n])
	if err != nil {
		p.t.Fatal(err)
	}
	return shake
}

// greeting is a handshake packet to a listener.
func greeting(change func(*handshake)) []byte {
	h := handshake{
		version: 5, extensions: hasHello | hasConfig, seq: 1, mtu: 1500, window: window, kind: conclusion, socket: 77,
		hello: true, srt: version, flags: helloFlags, recvDelay: 120, sendDelay: 120, streamID: "publish:a-key",
	}
	change(&h)
	return h.append(appendControl(nil, typeHandshake, 0, 0, 0, 0), false)
}

// Handshakes that are cut short, malformed, or from whoever did not show the
// cookie: nothing is kept of them, and a right one is still taken.
func TestMalformedHandshakes(t *testing.T) {
	l := listen(t, Config{})
	p := newRaw(t, l)
	cookie := p.ask(5*time.Second, greeting(func(h *handshake) { h.kind, h.version, h.hello, h.streamID = induction, 4, false, "" })).cookie
	if cookie == 0 {
		t.Fatal("no cookie")
	}
	right := func(change func(*handshake)) []byte {
		return greeting(func(h *handshake) { h.cookie = cookie; change(h) })
	}
	whole := right(func(*handshake) {})
	none := func(h *handshake) {}
	for _, tt := range []struct {
		name   string
		packet []byte
		want   uint32
	}{
		{"no cookie", greeting(none), 0},
		{"another cookie", greeting(func(h *handshake) { h.cookie = cookie + 2 }), 0},
		{"half a header", whole[:10], 0},
		{"half a handshake", whole[:headerSize+40], 0},
		{"half an extension's header", whole[:headerSize+handshakeSize+2], uint32(Rogue)},
		{"half an extension", whole[:headerSize+handshakeSize+10], uint32(Rogue)},
		{"half a stream id", whole[:len(whole)-4], uint32(Rogue)},
		{"extension beyond the packet", append(slices.Clone(whole), 0, 9, 0xff, 0xff), uint32(Rogue)},
		{"two hellos", append(slices.Clone(whole), whole[headerSize+handshakeSize:][:16]...), uint32(Rogue)},
		{"no hello", right(func(h *handshake) { h.hello = false }), uint32(Rogue)},
		{"keys of nonsense", right(func(h *handshake) { h.keys = bytes.Repeat([]byte{0xff}, 104) }), uint32(Rogue)},
		{"packets of 40 bytes", right(func(h *handshake) { h.mtu = 40 }), uint32(Rogue)},
		{"version 4", right(func(h *handshake) { h.version = 4 }), uint32(Version)},
		{"old library", right(func(h *handshake) { h.srt = 0x010100 }), uint32(Version)},
		{"bytes, not messages", right(func(h *handshake) { h.flags |= flagByteMode }), uint32(MessageAPI)},
		{"no socket", right(func(h *handshake) { h.socket = 0 }), uint32(Rogue)},
	} {
		wait := 5 * time.Second
		if tt.want == 0 {
			wait = 50 * time.Millisecond
		}
		if got := p.ask(wait, tt.packet).kind; got != tt.want {
			t.Errorf("%s: answered %d, want %d", tt.name, got, tt.want)
		}
	}
	if n := l.Held(); n != 0 {
		t.Errorf("%d requests are kept", n)
	}
	if got := p.ask(50*time.Millisecond, whole, whole).kind; got != 0 || l.Held() != 1 {
		t.Errorf("answered %d, %d requests wait", got, l.Held())
	}
	r, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.Accept("")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the answer was lost: it comes again
		if got := p.ask(5*time.Second, whole).kind; got != conclusion {
			t.Errorf("answered %d", got)
		}
	}
	// Goodbye, from elsewhere: nobody's. From the peer: the end.
	goodbye := append(appendControl(nil, typeShutdown, 0, 0, 0, c.id), 0, 0, 0, 0)
	newRaw(t, l).ask(50*time.Millisecond, goodbye)
	if over(c) {
		t.Error("a stranger ended the connection")
	}
	p.ask(50*time.Millisecond, goodbye)
	if _, err := c.Read(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	_ = r.Close()
}

// over reports whether the peer said goodbye.
func over(c *Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

// More requests than may wait are told so, and forgotten ones make room.
func TestBacklog(t *testing.T) {
	l := listen(t, Config{})
	p := newRaw(t, l)
	cookie := p.ask(5*time.Second, greeting(func(h *handshake) { h.kind = induction })).cookie
	for i := range pendingMax {
		p.ask(time.Microsecond, greeting(func(h *handshake) { h.cookie, h.socket = cookie, uint32(100+i) }))
	}
	for l.Held() < pendingMax {
		time.Sleep(time.Millisecond)
	}
	last := greeting(func(h *handshake) { h.cookie, h.socket = cookie, 99 })
	if got := p.ask(5*time.Second, last).kind; got != uint32(Backlog) {
		t.Errorf("answered %d", got)
	}
	for range pendingMax {
		r, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
	}
	if got := p.ask(50*time.Millisecond, last).kind; got != 0 || l.Held() != 1 {
		t.Errorf("answered %d, %d wait", got, l.Held())
	}
}

// bothKeys are an even and an odd key.
func bothKeys(length int) *keys {
	k := newKeys(length)
	k.renew(1, length)
	return k
}

func FuzzHandshake(f *testing.F) {
	f.Add(greeting(func(*handshake) {})[headerSize:])
	f.Add(greeting(func(h *handshake) { h.keys, _ = bothKeys(16).material("correct horse", 0, 1) })[headerSize:])
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHandshake(b)
		if err != nil || h.extend(b[handshakeSize:]) != nil {
			return
		}
		if len(h.streamID) > 512 || len(h.keys) > len(b) {
			t.Errorf("%d bytes of stream id, %d of keys in %d", len(h.streamID), len(h.keys), len(b))
		}
	})
}

func FuzzKeys(f *testing.F) {
	one, _ := newKeys(16).material("correct horse", 0)
	both, _ := bothKeys(32).material("correct horse", 0, 1)
	f.Add(one)
	f.Add(both)
	f.Fuzz(func(t *testing.T, b []byte) {
		var k keys
		flags, err := k.learn(b, "correct horse")
		if (err == nil) != (flags != 0) {
			t.Errorf("%b, %v", flags, err)
		}
	})
}

// silent is a socket that sends to nobody.
func silent(t testing.TB) *socket {
	pc, err := udp.Listen("udp4", "127.0.0.1:0", 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	return newSocket(pc, func(p any) { panic(p) })
}

// Whatever a peer sends, it makes us hold no more than a window of packets, and
// makes us send no more than we sent before and a little.
func FuzzPackets(f *testing.F) {
	data := append(words(5, 0xc0000001, 9, 1), "payload"...)
	f.Add(data)
	f.Add(append(words(100, 0xc0000001, 9, 1), data...))
	f.Add(append(appendControl(nil, typeACK, 0, 1, 0, 1), words(3, 100, 50, 8000, 0, 0, 0)...))
	f.Add(append(appendControl(nil, typeNAK, 0, 0, 0, 1), words(1<<31, 1<<31-1)...))
	f.Add(append(appendControl(nil, typeACKACK, 0, 1, 0, 1), words(0)...))
	f.Add(append(appendControl(nil, typeUser, extKeys, 0, 0, 1), words(0)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := silent(t)
		at := time.Now()
		c := newConn(s, udp.Path{Remote: netip.MustParseAddrPort("127.0.0.1:9")}, at, 3)
		c.peer, c.mtu = 7, 1500
		for range 8 {
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		for len(b) >= headerSize { // packets of 40 bytes and a rest
			n := min(len(b), 40)
			c.handle(parseHeader(b[:n]), slices.Clone(b[:n]), at)
			b = b[n:]
			c.tick(at)
		}
		if len(c.in.slots) > window || len(c.out.slots) > window || c.out.resent > spareMax+8 || c.in.holes < 0 || c.in.room() < 0 {
			t.Errorf("%d and %d slots, %d resent, %d holes", len(c.in.slots), len(c.out.slots), c.out.resent, c.in.holes)
		}
		_ = s.pc.Close()
	})
}
