package restream

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"glimpse/internal/media/hub"
	"glimpse/internal/media/rtmp"
	"glimpse/internal/media/srt"
	"glimpse/internal/outbound"
)

// sinks are our own servers with a stream "sink" each takes.
func sinks(t *testing.T) (byRTMP, bySRT string, stream *hub.Stream) {
	t.Helper()
	h := hub.New(hub.Config{}, slog.New(slog.DiscardHandler))
	stream, err := h.Open(hub.Spec{ID: "sink", IngestKey: "secret-sink", PlaybackID: "play", Standing: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r, err := rtmp.New(rtmp.Config{Addr: "127.0.0.1:0"}, h, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s, err := srt.New(srt.Config{Addr: "127.0.0.1:0"}, h, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	running := make(chan error, 2)
	go func() { running <- r.Run(ctx) }()
	go func() { running <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-running
		<-running
		h.Close()
	})
	return "rtmp://" + r.Addr().String() + "/live/secret-sink", "srt://" + s.Addr().String() + "?streamid=publish:secret-sink", stream
}

func names(p *Preflight) (list []string) {
	for _, s := range p.Stages {
		list = append(list, s.Name)
	}
	return list
}

// A pre-flight passes every stage and publishes nothing; where it ends is said
// without the key.
func TestPreflight(t *testing.T) {
	byRTMP, bySRT, stream := sinks(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	closed.Close()
	n := Network{AllowPrivate: true}
	for _, c := range []struct{ url, stages, says string }{
		{byRTMP, "dns tcp rtmp", ""},
		{bySRT, "dns srt", ""},
		{strings.Replace(bySRT, "secret-sink", "secret-nobody", 1), "dns srt", "refused"},
		{"rtmp://" + nobody + "/live/secret-1", "dns tcp", "refused"},
		{strings.Replace(byRTMP, "rtmp:", "rtmps:", 1), "dns tcp tls", "tls"},
		{"rtmp://nobody.invalid/live/secret-1", "dns", "nobody.invalid"},
	} {
		p, err := n.Check(t.Context(), Destination{URL: c.url})
		if err != nil {
			t.Errorf("%s: %v", c.url, err)
			continue
		}
		if got := strings.Join(names(p), " "); got != c.stages || (p.Err() == "") != (c.says == "") || !strings.Contains(p.Err(), c.says) {
			t.Errorf("%s: %s: %q", c.url, got, p.Err())
		}
		if strings.Contains(p.Err(), "secret") {
			t.Errorf("%s: shows a key: %s", c.url, p.Err())
		}
	}
	if stream.State() != hub.StateIdle || stream.Stats().Publishers != 0 {
		t.Errorf("a pre-flight published: %+v", stream.Stats())
	}
	if _, err := n.Check(t.Context(), Destination{URL: "http://x/y"}); !errors.Is(err, ErrAddress) {
		t.Errorf("no address: %v", err)
	}
}

// Private addresses are refused by what names resolve to, by every protocol, and
// nobody there hears of it; a trusted destination may be one.
func TestPrivateRefused(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, url := range []string{
		"rtmp://127.0.0.1:" + port + "/live/k", "rtmp://localhost:" + port + "/live/k", "rtmps://localhost:" + port + "/live/k",
		"rtmp://[::1]:" + port + "/live/k", "rtmp://[::ffff:127.0.0.1]:" + port + "/live/k", "rtmp://0.0.0.0:" + port + "/live/k",
		"srt://localhost:" + port + "?streamid=k", "srt://127.0.0.1:" + port,
		"rtmp://169.254.169.254/live/k", "rtmp://10.0.0.1/live/k", "srt://[fd00::1]:1?streamid=k",
	} {
		if _, err := (Network{}).Dial(t.Context(), Destination{URL: url}, nil); !errors.Is(err, outbound.ErrPrivate) {
			t.Errorf("%s: %v", url, err)
		}
		p, err := (Network{}).Check(t.Context(), Destination{URL: url})
		if err != nil || !slices.Equal(names(p), []string{"dns"}) || !strings.Contains(p.Err(), "private") {
			t.Errorf("pre-flight of %s: %+v, %v", url, p, err)
		}
	}
	_ = l.(*net.TCPListener).SetDeadline(time.Now().Add(10 * time.Millisecond))
	if c, err := l.Accept(); err == nil {
		t.Error("somebody was called at ", c.RemoteAddr())
	}
	if p, err := (Network{}).Check(t.Context(), Destination{URL: "rtmp://127.0.0.1:1/live/k", Trusted: true}); err != nil || len(p.Stages) != 2 {
		t.Errorf("a trusted one: %+v, %v", p, err)
	}
	// Unasked, only what is refused anyway is asked here.
	here := Destination{URL: "rtmp://localhost:" + port + "/live/k"}
	if p, err := (Network{AllowPrivate: true}).Ask(t.Context(), here); p != nil || err != nil {
		t.Errorf("somebody's own listener was asked: %+v, %v", p, err)
	}
	if p, err := (Network{}).Ask(t.Context(), here); err != nil || p.Err() == "" {
		t.Errorf("a private address is not told of: %+v, %v", p, err)
	}
}
