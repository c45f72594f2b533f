package hls

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"glimpse/internal/media/cmaf"
	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/viewers"
)

var discard = slog.New(slog.DiscardHandler)

// rig is a hub with one stream and its HLS, for a synctest bubble: publishing
// takes its time.
type rig struct {
	t       testing.TB
	hub     *hub.Hub
	stream  *hub.Stream
	pack    *cmaf.Packager
	handler *Handler
	viewers *viewers.Viewers
	pub     *hub.Publisher
	at      time.Duration // of the next picture, on the source's clock
	n       int           // pictures made
	sound   int64         // samples made
	gop     int           // pictures
	mute    bool
	pause   func() // between pictures
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{t: t, pack: cmaf.New(cmaf.Config{}, discard), gop: 60, pause: func() { time.Sleep(time.Second / 30) }}
	r.hub = hub.New(hub.Config{}, discard, r.pack.Output)
	r.viewers = viewers.New()
	r.handler = New(r.pack, r.viewers, Config{})
	var err error
	r.stream, err = r.hub.Open(hub.Spec{ID: "s1", IngestKey: "key", PlaybackID: "pb", ResumeWindow: time.Minute, Standing: true})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) close() {
	r.viewers.Close()
	r.hub.Close()
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// videoTrack is one of two parameter sets of 640x360.
func videoTrack(t testing.TB, n int) *frame.Track {
	t.Helper()
	sets := [2][2]string{
		{"6742c01ed900a02ff970110000030001000003003c0f162e48", "68cb83cb20"},
		{"674d401eeca05017fcb80880000003008000001e078b16cb", "68ebe3cb20"},
	}
	c, err := codec.NewH264(unhex(t, sets[n][0]), unhex(t, sets[n][1]))
	if err != nil {
		t.Fatal(err)
	}
	return &frame.Track{Codec: c}
}

func (r *rig) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// publish connects a publisher.
func (r *rig) publish() {
	r.t.Helper()
	pub, err := r.hub.Publish("key", hub.PublisherInfo{Protocol: "test"})
	r.check(err)
	r.pub = pub
	r.check(pub.SetTrack(videoTrack(r.t, 0)))
	if !r.mute {
		c, err := codec.NewAAC([]byte{0x11, 0x90})
		r.check(err)
		r.check(pub.SetTrack(&frame.Track{Codec: c}))
	}
}

// play publishes pictures and sound in real time for d.
func (r *rig) play(d time.Duration) {
	r.t.Helper()
	for end := r.at + d; r.at < end; {
		key := r.n%r.gop == 0
		b := make([]byte, 400)
		binary.BigEndian.PutUint32(b, uint32(len(b)-4))
		copy(b[4:], []byte{0x41, 0x9a, 0x22, 0x80})
		if key {
			copy(b[4:], []byte{0x65, 0x88, 0x84, 0x21})
		}
		r.check(r.pub.Video(r.at, r.at, key, b))
		r.n++
		r.at = time.Duration(r.n) * time.Second / 30
		for !r.mute {
			pts := time.Duration(r.sound) * time.Second / 48000
			if pts >= r.at {
				break
			}
			r.check(r.pub.Audio(pts, []byte("sound")))
			r.sound += 1024
		}
		r.pause()
	}
}

// get asks for a path below the stream's playback path.
func (r *rig) get(path string, header ...string) *httptest.ResponseRecorder {
	return r.do(context.Background(), http.MethodGet, path, header...)
}

func (r *rig) do(ctx context.Context, method, path string, header ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequestWithContext(ctx, method, "/live/pb/"+path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	rest, _, _ := strings.Cut(path, "?")
	r.handler.ServeHTTP(w, req, r.stream, rest)
	return w
}

// session asks for the multivariant playlist and returns the session's path.
func (r *rig) session() string {
	r.t.Helper()
	w := r.get("index.m3u8")
	lines := strings.Split(strings.TrimSpace(w.Body.String()), "\n")
	session, _, ok := strings.Cut(lines[len(lines)-1], "/")
	if w.Code != http.StatusOK || !ok || session[0] != '~' {
		r.t.Fatalf("index.m3u8: %d %s", w.Code, w.Body)
	}
	return session + "/"
}
