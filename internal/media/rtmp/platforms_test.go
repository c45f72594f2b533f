package rtmp

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bluenviron/gortmplib"
)

// sink is a server of another library that takes one connection, over TLS or not,
// and tells what it was asked for.
type sink struct {
	addr  string
	heard chan sinkHeard
}

type sinkHeard struct {
	name  string // by TLS; empty without
	url   string // address and key as the server puts them together
	bytes []byte // everything that came up to the request to publish
}

// tee keeps what is read.
type tee struct {
	io.ReadWriter
	mu   sync.Mutex
	read bytes.Buffer
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.ReadWriter.Read(p)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.read.Write(p[:n])
	return n, err
}

func startSink(t *testing.T) *sink {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := serverTLS(t)
	s := &sink{addr: l.Addr().String(), heard: make(chan sinkHeard, 1)}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			done.Go(func() { s.serve(conn, cfg) })
		}
	})
	t.Cleanup(func() { l.Close(); done.Wait() })
	return s
}

func (s *sink) serve(conn net.Conn, cfg *tls.Config) {
	defer conn.Close()
	first := make([]byte, 1)
	if _, err := io.ReadFull(conn, first); err != nil {
		return
	}
	rw, name := io.ReadWriter(rewound{conn, first}), ""
	if first[0] == 22 { // a TLS record
		secure := tls.Server(rewoundConn{conn, rewound{conn, first}}, cfg)
		if secure.Handshake() != nil {
			return
		}
		name, rw = secure.ConnectionState().ServerName, secure
	}
	keep := &tee{ReadWriter: rw}
	c := &gortmplib.ServerConn{RW: keep}
	err := c.Initialize()
	if err == nil {
		err = c.AcceptConn()
	}
	heard := sinkHeard{name: name}
	if err == nil {
		heard.url = c.URL.String()
		err = c.AcceptAction()
	}
	keep.mu.Lock()
	heard.bytes = bytes.Clone(keep.read.Bytes())
	keep.mu.Unlock()
	s.heard <- heard
	for err == nil {
		_, err = c.Read()
	}
}

// rewound reads what was read before, then the rest.
type rewound struct {
	net.Conn
	first []byte
}

func (r rewound) Read(p []byte) (int, error) {
	if r.first[0] != 0 {
		p[0], r.first[0] = r.first[0], 0
		return 1, nil
	}
	return r.Conn.Read(p)
}

type rewoundConn struct {
	net.Conn
	r rewound
}

func (c rewoundConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// The platforms' conventions, with keys in the path, in the query and in both, as
// a server of another library understands them: RTMPS goes to 443, and the name
// in TLS is the platform's. A pre-flight goes the same way and never names the key.
//
// D4 D26
func TestPlatformConventions(t *testing.T) {
	for name, c := range map[string]struct{ url, address, sni, heard string }{
		"YouTube":               {"rtmp://a.rtmp.youtube.com/live2/KEY-1-2", "a.rtmp.youtube.com:1935", "", "rtmp://a.rtmp.youtube.com/live2/KEY-1-2"},
		"YouTube's backup":      {"rtmp://b.rtmp.youtube.com/live2?backup=1/KEY-1-2", "b.rtmp.youtube.com:1935", "", "rtmp://b.rtmp.youtube.com/live2?backup=1/KEY-1-2"},
		"YouTube by TLS":        {"rtmps://a.rtmps.youtube.com/live2/KEY-1-2", "a.rtmps.youtube.com:443", "a.rtmps.youtube.com", "rtmps://a.rtmps.youtube.com/live2/KEY-1-2"},
		"Twitch":                {"rtmp://live.twitch.tv/app/live_KEY?bandwidthtest=true", "live.twitch.tv:1935", "", "rtmp://live.twitch.tv/app/live_KEY?bandwidthtest=true"},
		"Amazon IVS":            {"rtmps://a1b2.global-contribute.live-video.net:443/app/sk_eu-west-1_KEY", "a1b2.global-contribute.live-video.net:443", "a1b2.global-contribute.live-video.net", "rtmps://a1b2.global-contribute.live-video.net:443/app/sk_eu-west-1_KEY"},
		"IVS, slash too much":   {"rtmps://a1b2.global-contribute.live-video.net:443/app//sk_KEY", "a1b2.global-contribute.live-video.net:443", "a1b2.global-contribute.live-video.net", "rtmps://a1b2.global-contribute.live-video.net:443/app//sk_KEY"},
		"Facebook":              {"rtmps://live-api-s.facebook.com:443/rtmp/FB-KEY?s_bl=1&s_oil=2&a=AbC", "live-api-s.facebook.com:443", "live-api-s.facebook.com", "rtmps://live-api-s.facebook.com:443/rtmp/FB-KEY?s_bl=1&s_oil=2&a=AbC"},
		"X":                     {"rtmp://de.pscp.tv:80/x/KEY", "de.pscp.tv:80", "", "rtmp://de.pscp.tv:80/x/KEY"},
		"a key in the query":    {"rtmp://x.example/app/?token=KEY", "x.example:1935", "", "rtmp://x.example/app"}, // where the library leaves the query out
		"an instance of an app": {"rtmp://x.example/app/inst/KEY", "x.example:1935", "", "rtmp://x.example/app/inst/KEY"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startSink(t)
			var dialled string
			var stages []string
			o := Options{
				Tracks: smallFilm().tracks, TLS: &tls.Config{InsecureSkipVerify: true},
				Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
					dialled = address
					return (&net.Dialer{}).DialContext(ctx, network, s.addr)
				},
				Passed: func(stage string) { stages = append(stages, stage) },
			}
			if err := Probe(t.Context(), c.url, o); err != nil {
				t.Fatal(err)
			}
			want := []string{"tcp", "rtmp"}
			if c.sni != "" {
				want = []string{"tcp", "tls", "rtmp"}
			}
			if !slices.Equal(stages, want) {
				t.Errorf("a pre-flight passed %v, want %v", stages, want)
			}
			asked := <-s.heard
			if asked.url != "" || bytes.Contains(asked.bytes, []byte("KEY")) || bytes.Contains(asked.bytes, []byte("ublish")) {
				t.Errorf("a pre-flight was heard as %q: %q", asked.url, asked.bytes)
			}
			if !bytes.Contains(asked.bytes, []byte("createStream")) {
				t.Error("a pre-flight asked for no stream")
			}
			client, err := Dial(t.Context(), c.url, o)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range smallFilm().frames {
				if err := client.WriteFrame(f); err != nil {
					t.Fatal(err)
				}
			}
			_ = client.Close()
			got := <-s.heard
			if key := c.url[strings.Index(c.url, "KEY"):]; !bytes.Contains(got.bytes, []byte(key)) {
				t.Errorf("the server was not given %s", key)
			}
			if dialled != c.address || got.name != c.sni || strings.TrimSuffix(got.url, "/") != c.heard {
				t.Errorf("dialled %s as %q and was heard as %s", dialled, got.name, got.url)
			}
		})
	}
}
