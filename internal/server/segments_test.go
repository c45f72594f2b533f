package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

// filmed opens a stream and publishes 5 s of pictures of it.
func filmed(t *testing.T, s *Server) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.media.hub.Open(hub.Spec{ID: "s1", IngestKey: "key", PlaybackID: "pb", ResumeWindow: time.Minute, Standing: true})
	check(err)
	pub, err := s.media.hub.Publish("key", hub.PublisherInfo{Protocol: "test"})
	check(err)
	c, err := codec.NewH264([]byte("\x67\x42\xc0\x1e\xd9\x00\xa0\x2f\xf9\x70\x11\x00\x00\x03\x00\x01\x00\x00\x03\x00\x3c\x0f\x16\x2e\x48"), []byte("\x68\xcb\x83\xcb\x20"))
	check(err)
	check(pub.SetTrack(&frame.Track{Codec: c}))
	for n := range 150 {
		b := make([]byte, 400)
		binary.BigEndian.PutUint32(b, uint32(len(b)-4))
		copy(b[4:], []byte{0x41, 0x9a, 0x22, 0x80})
		if n%30 == 0 {
			copy(b[4:], []byte{0x65, 0x88, 0x84, 0x21})
		}
		at := time.Duration(n) * time.Second / 30
		check(pub.Video(at, at, n%30 == 0, b))
	}
}

// changing is what differs from one answer to the next.
var changing = regexp.MustCompile(`Date: [^\r]+\r\n`)

// asks sends a request on a connection of its own or a kept one and returns the
// answer without its date.
func asks(t *testing.T, c net.Conn, request string) string {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(c, request)
	var raw bytes.Buffer
	res, err := http.ReadResponse(bufio.NewReaderSize(io.TeeReader(c, &raw), 1), nil)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	return changing.ReplaceAllString(raw.String(), "")
}

// What players ask for again and again is answered past net/http with the same
// bytes, and nothing else is.
func TestSegmentsAsRoutes(t *testing.T) {
	s, err := New(t.Context(), testConfig(t), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	f := newFront(s.handler, s.unread)
	rest := f.begin(s.listener, s.gate.Door(costHTTP), s.segments)
	served := make(chan error, 1)
	go func() { served <- f.serve(rest) }()
	defer func() {
		f.shutdown(context.Background())
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	filmed(t, s)
	dial := func() net.Conn {
		c, err := net.Dial("tcp", s.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	get := func(c net.Conn, path, lines string) string {
		return asks(t, c, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\n"+lines+"\r\n")
	}
	theirs := dial()
	const odd = "X-Odd: 1\r\n"
	var list string
	eventually(t, "the list is whole", func() bool {
		list = get(theirs, "/live/pb/video.m3u8", odd)
		return strings.Contains(list, "#EXT-X-PART:") && strings.Count(list, "#EXTINF") >= 2
	})
	find := func(pattern string) string {
		m := regexp.MustCompile(pattern).FindStringSubmatch(list)
		if m == nil {
			t.Fatalf("no %s in %s", pattern, list)
		}
		return "/live/pb/" + m[1]
	}
	segment, part, start := find(`(?m)^([^#\s]+\.m4s)\s*$`), find(`EXT-X-PART:[^\n]*URI="([^"]+)"`), find(`EXT-X-MAP:URI="([^"]+)"`)
	session := "~h" + strings.Repeat("a", 15) + "/"
	inSession := func(path string) string { return strings.Replace(path, "/pb/", "/pb/"+session, 1) }
	const gzip = "Accept-Encoding: gzip, br\r\n"
	taken := []struct{ path, lines string }{
		{"/healthz", ""}, {"/readyz", gzip},
		{"/live/pb/video.m3u8", ""}, {"/live/pb/video.m3u8", gzip}, {inSession("/live/pb/video.m3u8"), gzip}, {"/live/pb/audio.m3u8", ""},
		{"/live/pb/video.m3u8?_HLS_msn=1&_HLS_part=0", gzip}, {"/live/pb/video.m3u8?_HLS_msn=1", ""}, {"/live/pb/video.m3u8?other=1", ""},
		{"/live/pb/video.m3u8?_HLS_msn=x", ""}, {"/live/pb/video.m3u8?_HLS_msn=999999", ""}, {"/live/pb/video.m3u8?_HLS_part=1", ""},
		{segment, ""}, {inSession(segment), gzip}, {part, ""}, {inSession(part), ""}, {start, ""},
		{strings.Replace(start, "i0.mp4", "i9.mp4", 1), ""}, {regexp.MustCompile(`\d+\.m4s$`).ReplaceAllString(part, "77777.m4s"), ""},
	}
	ours := dial()
	for _, q := range taken {
		before := f.lean.Answered()
		here, there := get(ours, q.path, q.lines), get(theirs, q.path, q.lines+odd)
		for range 20 { // the list may have grown between the two
			if here == there {
				break
			}
			before, here = f.lean.Answered(), get(ours, q.path, q.lines)
			there = get(theirs, q.path, q.lines+odd)
		}
		if here != there || !strings.HasPrefix(here, "HTTP/1.1 ") {
			t.Errorf("%s %q: answers differ:\n%.700q\n%.700q", q.path, q.lines, here, there)
		}
		if n := f.lean.Answered() - before; n != 1 {
			t.Errorf("%s %q: %d answered past net/http, want 1", q.path, q.lines, n)
		}
	}
	last := "Connection: close\r\n"
	if here, there := get(dial(), "/healthz", last), get(dial(), "/healthz", last+odd); here != there || !strings.Contains(here, last) {
		t.Errorf("a probe's only request: %q, %q", here, there)
	}
	if n := s.media.hub.ByPlayback("pb").Stats().Viewers["hls"]; n != 1 {
		t.Errorf("%d viewers by HLS, want 1", n)
	}
	before := f.lean.Answered()
	for _, path := range []string{
		"/", "/live/pb", "/live/pb/", "/live/pb/index.m3u8", "/live/pb/index.mpd", "/live/pb/status.json", "/live/pb/thumbnail.jpg", "/live/pb/x.m4s",
		"/live/none/video.m3u8", "/live/none/x.m4s", "/live/pb/~x/video.m3u8", "/recordings/x/video.m3u8", "/metrics", "/live/pb/a/video.m3u8",
	} {
		if here, there := get(dial(), path, ""), get(dial(), path, odd); len(here) < 20 || here[:20] != there[:20] {
			t.Errorf("%s: %.60q, %.60q", path, here, there)
		}
	}
	if refused := asks(t, dial(), "GET "+part+" HTTP/1.1\r\nHost: evil.example.com\r\n\r\n"); !strings.HasPrefix(refused, "HTTP/1.1 421 ") {
		t.Errorf("a strange host: %.100q", refused)
	}
	for _, lines := range []string{"Range: bytes=0-9\r\n", "If-None-Match: \"" + strings.TrimPrefix(part, "/live/pb/") + "\"\r\n"} {
		if got := get(dial(), part, lines); !strings.HasPrefix(got, "HTTP/1.1 206 ") && !strings.HasPrefix(got, "HTTP/1.1 304 ") {
			t.Errorf("%q: %.100q", lines, got)
		}
	}
	probes := f.lean.Answered()
	s.draining.Store(true)
	if got := get(dial(), "/readyz", ""); !strings.HasPrefix(got, "HTTP/1.1 503 ") || f.lean.Answered() != probes+1 {
		t.Errorf("while it drains: %.100q", got)
	}
	before++
	if got := get(dial(), part, ""); !strings.HasPrefix(got, "HTTP/1.1 503 ") {
		t.Errorf("while it drains: %.100q", got)
	}
	if n := f.lean.Answered() - before; n != 0 {
		t.Errorf("%d answered past net/http that are not for it", n)
	}
}
