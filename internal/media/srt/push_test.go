package srt

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"glimpse/internal/media/badnet"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/serve/servetest"
	"glimpse/internal/media/srt/live"
)

// What a client pushes to another server arrives there whole: pictures, sound and
// parameters.
func TestPush(t *testing.T) {
	t.Parallel()
	from, to := newRig(t, Config{}), newRig(t, Config{})
	source, copied := from.Open("a", 0), to.Open("b", 0)
	publisher := servetest.StartFFmpeg(t, publishing(from.url("publish:a-key"), 3)...)
	run, err := source.WaitRun(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := Dial(t.Context(), to.url("#!::r=b-key,m=publish"), Options{Tracks: run.Tracks()})
	if err != nil {
		t.Fatal(err)
	}
	sent := pump(t, run, c)
	c.Drain(t.Context())
	if _, errs, ok := publisher.Wait(); !ok {
		t.Error(errs)
	}
	arrived, err := copied.WaitRun(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	servetest.Until(t, "the end", func() bool { return copied.State() == hub.StateEnded })
	if n := int(copied.Stats().Frames); sent[frame.Video] < 80 || n != sent[frame.Video] {
		t.Errorf("%d of %v pictures arrived", n, sent)
	}
	if got, want := arrived.Tracks(), run.Tracks(); len(got) != 2 || got[0].Codec.MIME() != want[0].Codec.MIME() || got[1].Codec.MIME() != want[1].Codec.MIME() {
		t.Errorf("tracks %v", got)
	}
	if err := c.WriteFrame(arrived.KeyFrame()); err == nil {
		t.Error("a closed client writes")
	}
}

// The end of a stream reaches a listener with libsrt: it hands out what it has only when
// the latency is over, which began later when it took the handshake late, and forgets the
// rest at our goodbye.
func TestPushEnds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		latency, shake time.Duration
	}{
		"as it is":          {120 * time.Millisecond, 0},
		"much latency":      {2 * time.Second, 0},
		"late handshake":    {120 * time.Millisecond, 400 * time.Millisecond},
		"latency, and late": {time.Second, 800 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := newRig(t, Config{})
			source := from.Open("a", 0)
			at := freePort(t)
			listener := servetest.StartFFmpeg(t, "-i", fmt.Sprintf("srt://%s?mode=listener&tlpktdrop=0&latency=%d", at, tt.latency.Microseconds()),
				"-map", "0", "-c", "copy", "-f", "framecrc", "-")
			net := badnet.Start(t, at, badnet.Faults{Late: func(b []byte) time.Duration {
				if b[0] == 0x80 && b[1] == 0 { // a handshake
					return tt.shake
				}
				return 0
			}})
			publisher := servetest.StartFFmpeg(t, publishing(from.url("publish:a-key"), 3)...)
			run, err := source.WaitRun(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var c *Client
			servetest.Until(t, "the listener", func() bool {
				c, err = Dial(t.Context(), "srt://"+net.Addr(), Options{Tracks: run.Tracks()})
				return err == nil
			})
			sent := pump(t, run, c)
			begun := time.Now()
			c.Drain(t.Context())
			waited := time.Since(begun)
			_ = c.Close()
			if _, errs, ok := publisher.Wait(); !ok {
				t.Error(errs)
			}
			out, errs, _ := listener.Wait() // the end of a connection is an error to it
			pictures, sound := len(servetest.Packets(out, 0)), len(servetest.Packets(out, 1))
			if pictures != sent[frame.Video] || sound < sent[frame.Audio]-1 || pictures < 25 {
				t.Errorf("%d pictures and %d sounds of %v: %s", pictures, sound, sent, errs)
			}
			if st := c.conn.Stats(); st.Dropped > 0 || waited < tt.latency || waited > tt.latency+tt.shake+time.Second {
				t.Errorf("%d dropped, waited %v", st.Dropped, waited)
			}
		})
	}
}

// pump sends a stream to its end and counts what was sent.
func pump(t *testing.T, run *hub.Run, c *Client) map[frame.Kind]int {
	t.Helper()
	rd := run.Subscribe(hub.ReaderOptions{})
	defer rd.Close()
	sent := map[frame.Kind]int{}
	for frames, err := rd.Next(t.Context(), nil); err == nil; frames, err = rd.Next(t.Context(), frames) {
		for _, f := range frames {
			if err := c.WriteFrame(f); err != nil {
				t.Fatal(err)
			}
			sent[f.Track.Kind()]++
		}
	}
	return sent
}

// freePort is an address that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.LocalAddr().String()
}

func TestPushRefused(t *testing.T) {
	r := newRig(t, Config{})
	r.Open("a", 0)
	_, err := Dial(t.Context(), r.url("publish:b-key"), Options{})
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Reason != live.Unauthorized {
		t.Errorf("%v, want code 1401", err)
	}
}

func TestPushAddress(t *testing.T) {
	for _, bad := range []string{"", "rtmp://h:1/a", "srt://", "srt://host", "srt://:4201", "srt://h:1?passphrase=short",
		"srt://h:/", "srt://0://", "srt://h:65536", "srt://h:1?pbkeylen=17", "srt://h:1?latency=60000001", "srt://h:1?latency=18446744073709552"} {
		if _, _, err := parseTarget(bad); !errors.Is(err, ErrAddress) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for raw, want := range map[string]string{
		"srt://192.168.1.100:4201?streamid=my-stream":           "my-stream",
		"srt://h:1/?mode=caller&streamid=#!::r=a,m=publish&x=y": "#!::r=a,m=publish",
		"srt://[::1]:1?streamid=%23!::r=a":                      "#!::r=a",
	} {
		if _, cfg, err := parseTarget(raw); err != nil || cfg.StreamID != want {
			t.Errorf("%q: stream id %q, %v", raw, cfg.StreamID, err)
		}
	}
}

// What an address asks for is within the protocol's bounds, and it leads to the
// same place when it is put together again.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"srt://h:1?streamid=#!::r=KEY,m=publish&passphrase=correct%20horse&latency=200000&pbkeylen=32", "srt://[::1]:9000/",
		"srt://h:1?latency=-1", "srt://h:1?latency=99999999999999999999", "srt://h:1?streamid=%zz&&=", "srt://:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		address, o, err := parseTarget(raw)
		if err != nil {
			if !errors.Is(err, ErrAddress) {
				t.Errorf("%q: %v", raw, err)
			}
			return
		}
		host, port, err := net.SplitHostPort(address)
		if err != nil || host == "" || port == "" {
			t.Fatalf("%q: %q, %v", raw, address, err)
		}
		if n := len(o.Passphrase); len(o.StreamID) > 512 || o.Latency < 0 || o.Latency > time.Minute || o.KeyLength%8 != 0 || n > 0 && (n < live.MinPassphrase || n > live.MaxPassphrase) {
			t.Errorf("%q: %+v", raw, o)
		}
		escape := func(s string) string { return strings.ReplaceAll(url.PathEscape(s), "&", "%26") }
		same, settings, err := parseTarget(fmt.Sprintf("srt://%s?streamid=%s&passphrase=%s&pbkeylen=%d&latency=%d", address,
			escape(o.StreamID), escape(o.Passphrase), o.KeyLength, o.Latency.Microseconds()))
		if err != nil || same != address || settings != o {
			t.Errorf("%q: %q %+v is read again as %q %+v, %v", raw, address, o, same, settings, err)
		}
	})
}
