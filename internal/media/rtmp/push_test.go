package rtmp

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/serve/servetest"
)

func TestParseTarget(t *testing.T) {
	tests := []struct{ url, address, tcURL, app, key string }{
		{"rtmp://h/live/key", "h:1935", "rtmp://h/live", "live", "key"},
		{"rtmp://h:19/live/key?token=a/b", "h:19", "rtmp://h:19/live", "live", "key?token=a/b"},
		{"rtmps://a.example/rtmp/x/key", "a.example:443", "rtmps://a.example/rtmp/x", "rtmp/x", "key"},
		{"rtmp://b.example/live2?backup=1/k-1", "b.example:1935", "rtmp://b.example/live2?backup=1", "live2?backup=1", "k-1"},
		{"rtmp://[::1]/live/a%2Fb", "[::1]:1935", "rtmp://[::1]/live", "live", "a%2Fb"},
	}
	for _, tt := range tests {
		got, err := parseTarget(tt.url)
		if err != nil || got.address != tt.address || got.tcURL != tt.tcURL || got.app != tt.app || got.key != tt.key {
			t.Errorf("%s: %+v, %v", tt.url, got, err)
		}
	}
	for _, bad := range []string{"", "http://h/live/key", "rtmp://h", "rtmp://h/live", "rtmp://h/live/", "rtmp:///live/key", "rtmp://h/\x00secret/k"} {
		if _, err := parseTarget(bad); !errors.Is(err, ErrAddress) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A6 A7
// What the client publishes arrives in the hub byte for byte, a key frame of
// several chunks too.
func TestPushToServer(t *testing.T) {
	for name, cfg := range map[string]Config{"rtmp": {}, "rtmps": {TLS: serverTLS(t)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, cfg)
			s := r.Open("one", 0)
			url := strings.Replace(r.url("one-key"), "rtmp:", name+":", 1)
			c, err := Dial(t.Context(), url, Options{Tracks: bigFilm().tracks, TLS: &tls.Config{InsecureSkipVerify: true}})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			read := make(chan []*frame.Frame, 1)
			go func() {
				run, err := s.WaitRun(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				read <- readAll(run)
			}()
			for _, f := range bigFilm().frames {
				if err := c.WriteFrame(f); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if err := c.WriteFrame(bigFilm().frames[0]); !errors.Is(err, ErrClosed) {
				t.Errorf("write after close: %v", err)
			}
			got := <-read
			servetest.Until(t, "the goodbye in the log", func() bool { return strings.Contains(r.Logs.String(), errUnpublished.Error()) })
			if len(got) != len(bigFilm().frames) {
				t.Fatalf("%d frames arrived; %d were sent", len(got), len(bigFilm().frames))
			}
			for i, f := range bigFilm().frames {
				if g := got[i]; string(g.Payload) != string(f.Payload) || g.Key != f.Key || (g.CTS()-f.CTS()).Abs() > time.Millisecond {
					t.Fatalf("frame %d differs", i)
				}
			}
			if n := len(got[0].Payload); n < 2*outChunkSize {
				t.Errorf("key frame of %d bytes proves little", n)
			}
		})
	}
}

// readAll follows a run to its end.
func readAll(run *hub.Run) (all []*frame.Frame) {
	rd := run.Subscribe(hub.ReaderOptions{})
	defer rd.Close()
	for {
		frames, err := rd.Next(context.Background(), nil)
		if err != nil {
			return all
		}
		all = append(all, frames...)
	}
}

// A6 A7
// Any RTMP server is fed, here the one in ffmpeg.
func TestPushToFFmpegListen(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "rtmp://" + ln.Addr().String() + "/app/some-key?token=1"
	_ = ln.Close()
	listener := servetest.StartFFmpeg(t, "-listen", "1", "-i", url, "-map", "0", "-c", "copy", "-f", "framecrc", "pipe:1")
	defer listener.Kill()
	var c *Client
	servetest.Until(t, "ffmpeg to listen", func() bool {
		c, err = Dial(t.Context(), url, Options{Tracks: smallFilm().tracks})
		return err == nil
	})
	defer c.Close()
	for _, f := range smallFilm().frames {
		if err := c.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.Close()
	out, stderr, ok := listener.Wait()
	if n := len(servetest.Packets(out, 0)); n != 60 || !ok {
		t.Errorf("ffmpeg read %d pictures of 60: %s", n, stderr)
	}
}

// A key frame of nearly 4 MiB passes; a larger message ends the connection.
func TestLargeKeyFrame(t *testing.T) {
	r := newRig(t, Config{})
	s := r.Open("one", 0)
	c, err := Dial(t.Context(), r.url("one-key"), Options{Tracks: bigFilm().tracks})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	idr := make([]byte, 4<<20-16)
	idr[0] = 0x65
	f := &frame.Frame{Track: bigFilm().tracks[0], Key: true, Payload: binary.BigEndian.AppendUint32(nil, uint32(len(idr)))}
	f.Payload = append(f.Payload, idr...)
	if err := c.WriteFrame(f); err != nil {
		t.Fatal(err)
	}
	player, err := r.join("one-play")
	if err != nil {
		t.Fatal(err)
	}
	if got := r.media(player, 2)[1]; len(got.body) != 5+len(f.Payload) {
		t.Errorf("%d bytes played; %d were published", len(got.body), 5+len(f.Payload))
	}
	f.Payload = make([]byte, 4<<20)
	_ = c.WriteFrame(f)
	<-c.Done()
	servetest.Until(t, "the stream to end", func() bool { return s.State() == hub.StateEnded })
}

func TestPushRefused(t *testing.T) {
	r := newRig(t, Config{})
	r.Open("one", 0)
	_, err := Dial(t.Context(), r.url("secret-key-nobody-has"), Options{})
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Code != codeDenied {
		t.Fatalf("unknown key: %v", err)
	}
	for _, text := range []string{err.Error(), r.Logs.String()} {
		if strings.Contains(text, "nobody-has") {
			t.Errorf("key shows in %q", text)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(ctx, r.url("one-key"), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	// A server that repeats the key does not get it into our errors.
	c := &Client{target: target{key: "k123?token=9"}}
	if got := c.clean("stream k123 (k123?token=9)\nis\x00 bad"); strings.Contains(got, "k123") || strings.ContainsAny(got, "\n\x00") {
		t.Errorf("cleaned text is %q", got)
	}
}

// Close ends a WriteFrame that blocks because the server does not read.
func TestCloseWhileBlocked(t *testing.T) {
	r := newRig(t, Config{})
	r.Open("one", 0)
	blocked := make(chan struct{})
	c, err := Dial(t.Context(), r.url("one-key"), Options{Tracks: bigFilm().tracks, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return &stallConn{Conn: conn, after: 200 << 10, stalled: blocked, closed: make(chan struct{})}, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	wrote := make(chan error, 1)
	go func() {
		for {
			for _, f := range bigFilm().frames {
				if err := c.WriteFrame(f); err != nil {
					wrote <- err
					return
				}
			}
		}
	}()
	<-blocked
	start := time.Now()
	_ = c.Close()
	if err := <-wrote; !errors.Is(err, ErrClosed) {
		t.Errorf("blocked write: %v", err)
	}
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("close took %v", d)
	}
}

// stallConn stops taking bytes after so many, until it is closed.
type stallConn struct {
	net.Conn
	after   int
	stalled chan struct{}
	closed  chan struct{}
}

func (c *stallConn) Write(p []byte) (int, error) {
	if c.after -= len(p); c.after < 0 {
		select {
		case <-c.stalled:
		default:
			close(c.stalled)
		}
		<-c.closed
		return 0, net.ErrClosed
	}
	return c.Conn.Write(p)
}

func (c *stallConn) Close() error {
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	return c.Conn.Close()
}

// serverTLS makes a certificate for tests.
func serverTLS(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// What an address is taken for leads to the same place when it is put together
// again, and a refusal does not repeat the key.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"rtmp://h/app/key", "rtmps://x.example:443/app/inst/KEY?backup=1", "rtmp://b.example/live2?backup=1/KEY",
		"rtmp://u:p@[::1]/a/%2fKEY#x", "rtmp://h/a/", "rtmp://h:x/a/k", "RTMP://h//k"} {
		f.Add(seed)
	}
	f.Add("rtmp://]?/0")
	f.Add("rtmp://h/app/?a=b/c") // a key that is a query alone
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := parseTarget(raw)
		if err != nil {
			if !errors.Is(err, ErrAddress) {
				t.Errorf("%q: %v", raw, err)
			}
			return
		}
		host, port, err := net.SplitHostPort(got.address)
		name, _, _ := strings.Cut(got.key, "?")
		if err != nil || host != got.host || host == "" || port == "" || got.app == "" || got.key == "" || strings.Contains(name, "/") {
			t.Fatalf("%q: %+v, %v", raw, got, err)
		}
		if strings.ContainsAny(got.tcURL+got.key, "\r\n\x00") {
			t.Errorf("%q: control characters in %+v", raw, got)
		}
		if strings.Contains(host, "%") {
			return // a zone, which is escaped in a URL
		}
		if again, err := parseTarget(got.tcURL + "/" + got.key); err != nil || again != got {
			t.Errorf("%q: %+v is read again as %+v, %v", raw, got, again, err)
		}
	})
}
