package live

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"glimpse/internal/media/udp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func listen(t testing.TB, cfg Config) *Listener {
	t.Helper()
	cfg.Addr = "127.0.0.1:0"
	cfg.Panicked = func(p any) { t.Errorf("panic: %v", p) }
	l, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// Payloads arrive in both directions, in order and with the sizes that they were
// written with, plain and under every length of key; the goodbye is heard after
// the last of them.
func TestThereAndBack(t *testing.T) {
	for _, length := range []int{0, 16, 24, 32} {
		t.Run(fmt.Sprint(length), func(t *testing.T) {
			t.Parallel()
			l := listen(t, Config{})
			o := Options{StreamID: "publish:someone", KeyLength: length, Latency: 200 * time.Millisecond}
			if length > 0 {
				o.Passphrase = "correct horse"
			}
			accepted := make(chan *Conn, 1)
			go func() {
				r, err := l.Accept()
				if err != nil || r.StreamID() != o.StreamID {
					t.Errorf("%v, %q", err, r.StreamID())
				}
				c, err := r.Accept(o.Passphrase)
				if err != nil {
					t.Error(err)
				}
				accepted <- c
			}()
			caller, err := Dial(t.Context(), l.Addr().String(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer caller.Close()
			called := <-accepted
			payload := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 1+i%MaxPayload) }
			const n = 300
			for i := range n {
				for _, c := range []*Conn{caller, called} {
					if _, err := c.Write(payload(i)); err != nil {
						t.Fatal(err)
					}
				}
			}
			for _, c := range []*Conn{caller, called} {
				for i := range n {
					got, err := c.Read()
					if err != nil || !bytes.Equal(got, payload(i)) {
						t.Fatalf("payload %d: %v, %d bytes", i, err, len(got))
					}
				}
				c.Drain(t.Context())
			}
			if d := called.Stats().ReceiveDelay; d != o.Latency {
				t.Errorf("latency %v", d)
			}
			if _, err := caller.Write([]byte("last")); err != nil {
				t.Fatal(err)
			}
			caller.Drain(t.Context())
			_ = caller.Close()
			if got, err := called.Read(); err != nil || string(got) != "last" {
				t.Errorf("%q, %v", got, err)
			}
			if _, err := called.Read(); !errors.Is(err, io.EOF) {
				t.Errorf("after the goodbye: %v", err)
			}
			if st := called.Stats(); st.Received != n+1 || st.Lost != 0 || st.Undecrypted != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// Whoever does not know the passphrase is refused with the right code, and so is
// everybody else who was not let in.
func TestRefusals(t *testing.T) {
	l := listen(t, Config{})
	for _, tt := range []struct {
		name, passphrase, wanted string
		reject                   Reason
		want                     Reason
	}{
		{"wrong passphrase", "battery staple", "correct horse", 0, BadSecret},
		{"no passphrase", "", "correct horse", 0, Unsecure},
		{"needless passphrase", "battery staple", "", 0, Unsecure},
		{"not found", "", "", NotFound, NotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			go func() {
				r, err := l.Accept()
				if err != nil {
					return
				}
				if tt.reject != 0 {
					r.Reject(tt.reject)
				} else if _, err := r.Accept(tt.wanted); err == nil {
					t.Error("accepted")
				}
			}()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_, err := Dial(ctx, l.Addr().String(), Options{StreamID: "x", Passphrase: tt.passphrase})
			var refused *RefusedError
			if !errors.As(err, &refused) || refused.Reason != tt.want {
				t.Errorf("%v", err)
			}
		})
	}
	if n := l.Held(); n != 0 {
		t.Errorf("%d requests are kept", n)
	}
}

// A listener on all addresses is reached by each of them, and answers from the one
// that was asked: a caller hears nothing else.
func TestWildcard(t *testing.T) {
	l, err := Listen(Config{Addr: ":0", Panicked: func(p any) { t.Errorf("panic: %v", p) }})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	hosts := []string{"127.0.0.1", "127.0.0.2"}
	if probe, err := net.ListenPacket("udp6", "[::1]:0"); err == nil {
		_ = probe.Close()
		hosts = append(hosts, "::1")
	}
	for _, host := range hosts {
		go func() {
			r, err := l.Accept()
			if err != nil {
				return
			}
			c, err := r.Accept("")
			if err != nil {
				t.Error(err)
				return
			}
			if b, err := c.Read(); err == nil {
				_, _ = c.Write(b)
			}
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		c, err := Dial(ctx, net.JoinHostPort(host, port), Options{})
		cancel()
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Error(err)
		}
		if b, err := c.Read(); err != nil || string(b) != "hello" {
			t.Errorf("%s: %q, %v", host, b, err)
		}
		_ = c.Close()
	}
}

// Neither sending a picture nor receiving its packets allocates.
func TestPacketsDoNotAllocate(t *testing.T) {
	s := silent(t)
	c := newConn(s, udp.Path{Remote: s.pc.Addr()}, time.Now(), 3)
	c.peer, c.mtu = 7, 1500
	picture := make([]byte, 8*MaxPayload)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := c.WriteChunks(picture, MaxPayload); err != nil {
			t.Fatal(err)
		}
		c.out.ack(c.out.next, 0) // the peer has it
	}); n > 0 {
		t.Errorf("%v allocations for a picture sent", n)
	}
	seq, packet := uint32(3), append(words(0, uint32(flagSolo)<<24, 0, c.id), make([]byte, MaxPayload)...)
	if n := testing.AllocsPerRun(100, func() {
		binary.BigEndian.PutUint32(packet, seq)
		seq++
		c.handle(parseHeader(packet), packet, time.Now())
		if b, ok := c.in.pop(1<<62, 1<<62); !ok || len(b) != MaxPayload {
			t.Fatal("it is not there")
		} else {
			c.in.release(b)
		}
	}); n > 0 {
		t.Errorf("%v allocations for a packet received", n)
	}
}
