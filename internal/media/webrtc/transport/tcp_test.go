package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"glimpse/internal/media/udp"
)

// dial opens a TCP connection to a Mux.
func dial(t *testing.T, m *Mux) *net.TCPConn {
	t.Helper()
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(m.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

func frameOf(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s within 10 s", what)
		}
	}
}

// RFC 6544: a check over TCP is answered and binds the connection to its peer;
// UDP, once it works, is preferred.
func TestCheckByTCP(t *testing.T) {
	m := running(t)
	h := &quiet{}
	p := peerOf(t, m, h)
	c := dial(t, m)
	if _, err := c.Write(append(frameOf([]byte{22, 1, 2}), frameOf(checkOf(t, p))...)); err != nil {
		t.Fatal(err)
	}
	b, err := readFrame(c, make([]byte, udp.MaxDatagram))
	if err != nil || len(b) < 20 || b[0] != 1 || b[1] != 1 {
		t.Fatalf("%x, %v", b, err)
	}
	if s := m.Stats(); s.Strange != 1 || s.Streams != 1 {
		t.Errorf("%+v", s)
	}
	if p.Remote().String() != c.LocalAddr().String() {
		t.Errorf("the peer is at %v", p.Remote())
	}
	p.mu.Lock()
	p.connected = true
	first := p.path
	p.mu.Unlock()
	now := time.Now()
	m.datagram(checkOf(t, p), path{remote: testFrom}, now)
	if h.moved.Load() != 1 || p.Remote() != testFrom {
		t.Error("UDP is not preferred")
	}
	m.datagram(checkOf(t, p), first, now.Add(5*time.Second))
	if h.moved.Load() != 1 {
		t.Error("TCP is taken while UDP works")
	}
	m.datagram(checkOf(t, p), first, now.Add(7*time.Second))
	if h.moved.Load() != 2 || p.Remote() != first.remote {
		t.Error("TCP is not taken when UDP does not work any more")
	}
	other := peerOf(t, m, &quiet{})
	m.datagram(checkOf(t, other), first, now)
	if first.stream.peer.Load() != p || other.Remote().IsValid() {
		t.Error("another session took the connection")
	}
	p.mu.Lock()
	p.connected = false
	p.mu.Unlock()
}

// FAULTS F24: strangers' connections are bounded, and end with the first packet
// that is too long.
func TestTCPStrangers(t *testing.T) {
	m := running(t)
	for range maxStreamsPerSite {
		dial(t, m)
	}
	eventually(t, "all connections", func() bool { return m.Stats().Streams == maxStreamsPerSite })
	over := dial(t, m)
	if _, err := over.Read(make([]byte, 1)); err == nil {
		t.Error("one more was served")
	}
	if s := m.Stats(); s.StreamsRefused != 1 {
		t.Errorf("%+v", s)
	}
	m.mu.Lock()
	var one *stream
	for one = range m.streams {
		break
	}
	m.mu.Unlock()
	_ = one.conn.Close()
	eventually(t, "a place", func() bool { return m.Stats().Streams == maxStreamsPerSite-1 })
	long := dial(t, m)
	if _, err := long.Write([]byte{0xff, 0xff, 1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	if _, err := long.Read(make([]byte, 1)); err == nil {
		t.Error("a packet of 65,535 bytes was waited for")
	}
}

// A peer that does not read makes its connection full, not our memory: whole
// packets are refused, and what it reads at last is in frames.
func TestFullConnection(t *testing.T) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{conn: conn, wake: make(chan struct{}, 1)}
	written := make(chan struct{})
	go func() { defer close(written); s.write() }()
	d := Destination{stream: s}
	packet := bytes.Repeat([]byte{7}, 1200)
	sent := 0
	for ; sent < 20_000 && d.Send(packet) == nil; sent++ {
	}
	if !d.Full() || sent == 20_000 || sent < streamLimit/1300 {
		t.Errorf("full %v after %d packets", d.Full(), sent)
	}
	for i := range sent {
		b, err := readFrame(client, make([]byte, udp.MaxDatagram))
		if err != nil || !bytes.Equal(b, packet) {
			t.Fatalf("packet %d of %d: %d bytes, %v", i, sent, len(b), err)
		}
	}
	eventually(t, "room", func() bool { return !d.Full() })
	s.close()
	<-written
	_ = conn.Close()
	if d.Send(packet) == nil {
		t.Error("a closed connection takes packets")
	}
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("%v after the end", err)
	}
}
