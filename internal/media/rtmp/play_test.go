package rtmp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/handshake"

	"glimpse/internal/media/flv"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/serve/servetest"
)

// join connects a player; its messages are read with chunks.next.
func (r *rig) join(name string) (*Client, error) {
	c, _, err := r.joinWith(name)
	return c, err
}

// joinWith connects a player that says more of itself, and returns what connect
// was answered.
func (r *rig) joinWith(name string, about ...amf0.ObjectEntry) (c *Client, answer amf0.Data, err error) {
	r.T.Helper()
	conn, err := net.Dial("tcp", r.server.Addr().String())
	if err != nil {
		r.T.Fatal(err)
	}
	r.T.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(15 * time.Second))
	c = &Client{conn: conn, chunks: newChunkReader(conn, publisherLimits())}
	if _, _, err := handshake.DoClient(struct {
		io.Reader
		io.Writer
	}{c.chunks.br, conn}, false, false); err != nil {
		r.T.Fatal(err)
	}
	connect := append(amf0.Object{{Key: "app", Value: "live"}, {Key: "tcUrl", Value: "rtmp://host/live"}}, about...)
	if err := c.command(3, 0, "connect", 1, connect); err != nil {
		r.T.Fatal(err)
	}
	if answer, err = c.answer(1); err != nil {
		r.T.Fatal(err)
	}
	if err := c.command(3, 0, "createStream", 4, nil); err != nil {
		r.T.Fatal(err)
	}
	if _, err := c.answer(4); err != nil {
		r.T.Fatal(err)
	}
	if err := c.command(8, 1, "play", 5, nil, name); err != nil {
		r.T.Fatal(err)
	}
	_, err = c.answer(5)
	return c, answer, err
}

// media returns the next n audio and video messages.
func (r *rig) media(c *Client, n int) (list []message) {
	r.T.Helper()
	for len(list) < n {
		m, err := c.chunks.next()
		if err != nil {
			r.T.Fatalf("message %d of %d: %v", len(list), n, err)
		}
		if m.kind == typeAudio || m.kind == typeVideo {
			list = append(list, m)
		}
	}
	return list
}

// A7 E49
// A picture with its sound is at the player, behind publisher and server, far
// below a second after it was taken; three streams at once.
func TestSubSecond(t *testing.T) {
	r := newRig(t, Config{})
	for _, name := range []string{"a", "b", "c"} {
		r.Open(name, 0)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := smallFilm()
			c, err := Dial(t.Context(), r.url(name+"-key"), Options{Tracks: m.tracks})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			first := slices.IndexFunc(m.frames, (*frame.Frame).IsVideo)
			if err := c.WriteFrame(m.frames[first]); err != nil {
				t.Fatal(err)
			}
			player, err := r.join(name + "-play")
			if err != nil {
				t.Fatal(err)
			}
			r.media(player, 3) // headers and the key frame
			pictures := 0
			for _, f := range m.frames[first+1:] {
				start := time.Now()
				if err := c.WriteFrame(f); err != nil {
					t.Fatal(err)
				}
				if !f.IsVideo() {
					continue // may wait for a picture
				}
				for r.media(player, 1)[0].kind != typeVideo {
				}
				if d := time.Since(start); d > 500*time.Millisecond {
					t.Errorf("picture %d took %v", pictures, d)
				}
				pictures++
			}
			if pictures != 59 {
				t.Errorf("%d pictures", pictures)
			}
		})
	}
}

// A player that joins inside a group of pictures has its key frame at once, at
// time 0, behind the sequence headers; new parameters bring a new header.
func TestJoinStartsAtKeyFrame(t *testing.T) {
	r := newRig(t, Config{})
	s := r.Open("one", 0)
	m := smallFilm()
	p := r.Source("one", m.tracks...)
	for _, f := range m.frames[:120] { // 1.1 s: the second key frame and some more
		servetest.Put(t, p, f)
	}
	c, err := r.join("one-play")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	got := r.media(c, 3)
	if d := time.Since(start); d > 200*time.Millisecond {
		t.Errorf("first picture after %v", d)
	}
	for i, want := range m.tracks {
		if kind, body := flv.TagType(want.Kind()), want.Codec.(flv.Codec).FLVConfig(); got[i].kind != kind || string(got[i].body) != string(body) {
			t.Errorf("message %d is not the sequence header of %s", i, want.Codec.Name())
		}
	}
	tag, err := flv.ParseVideo(got[2].body)
	if got[2].kind != typeVideo || err != nil || !tag.Key || got[2].time != 0 || string(tag.Data) != string(s.Run().KeyFrame().Payload) {
		t.Errorf("the first frame is kind %d at %d", got[2].kind, got[2].time)
	}
	if n := s.Stats().Viewers["rtmp"]; n != 1 {
		t.Errorf("%d viewers", n)
	}

	change := &frame.Track{Codec: bigFilm().tracks[0].Codec}
	if err := p.SetTrack(change); err != nil {
		t.Fatal(err)
	}
	servetest.Put(t, p, &frame.Frame{Track: change, PTS: 3 * time.Second, DTS: 3 * time.Second, Key: true, Payload: bigFilm().frames[0].Payload})
	last := uint32(0)
	for {
		next := r.media(c, 1)[0]
		if next.time < last && next.kind == typeVideo {
			t.Errorf("time goes back from %d to %d", last, next.time)
		}
		if next.kind == typeVideo {
			last = next.time
		}
		if tag, _ := flv.ParseVideo(next.body); next.kind == typeVideo && tag.Packet == flv.Config {
			if string(next.body) != string(change.Codec.(flv.Codec).FLVConfig()) {
				t.Error("the new sequence header is another one")
			}
			break
		}
	}
	_ = c.conn.Close()
	servetest.Until(t, "the viewer to be gone", func() bool { return s.Stats().Viewers["rtmp"] == 0 })
}

// The end of a stream is told to its players.
func TestEndIsTold(t *testing.T) {
	r := newRig(t, Config{})
	s := r.Open("one", 0)
	p := r.Source("one", bigFilm().tracks...)
	servetest.Put(t, p, bigFilm().frames[0])
	c, err := r.join("one-play")
	if err != nil {
		t.Fatal(err)
	}
	r.media(c, 2)
	s.Close("test")
	var codes []string
	for {
		values, err := c.hear()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			break
		}
		if len(values) > 3 {
			codes = append(codes, property(values[3], "code"))
		}
	}
	if n := len(codes); n < 2 || codes[n-1] != "NetStream.Play.Stop" || codes[n-2] != "NetStream.Play.UnpublishNotify" {
		t.Errorf("the player hears %v", codes)
	}
}

func TestStreamNotFound(t *testing.T) {
	short := defaultTimes()
	short.start = 200 * time.Millisecond
	r := newRigTimes(t, Config{}, short)
	s := r.Open("one", time.Minute)
	ended := r.Open("two", time.Minute)
	var refused *RefusedError
	if _, err := r.join("nobody"); !errors.As(err, &refused) || refused.Code != codeNotFound {
		t.Errorf("unknown id: %v", err)
	}
	if _, err := r.join("one-key"); !errors.As(err, &refused) { // a key is no playback id
		t.Errorf("a key: %v", err)
	}
	for _, s := range []*hub.Stream{s, ended} {
		c, err := r.join(s.PlaybackID())
		if s == ended {
			s.Close("test")
		}
		for err == nil { // accepted, then told
			_, err = c.hear()
		}
		if !errors.As(err, &refused) || refused.Code != codeNotFound {
			t.Errorf("%s without a publisher: %v", s.ID(), err)
		}
	}
	servetest.Until(t, "the viewers to be gone", func() bool { return s.Stats().Viewers["rtmp"] == 0 })
}

// One name may be key and playback id at once (the configured stream "stream").
func TestSameNameBothWays(t *testing.T) {
	r := newRig(t, Config{})
	if _, err := r.Hub.Open(hub.Spec{ID: "s", IngestKey: "stream", PlaybackID: "stream", Standing: true}); err != nil {
		t.Fatal(err)
	}
	c, err := Dial(t.Context(), r.url("stream"), Options{Tracks: bigFilm().tracks})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.WriteFrame(bigFilm().frames[0]); err != nil {
		t.Fatal(err)
	}
	player, err := r.join("stream")
	if err != nil {
		t.Fatal(err)
	}
	r.media(player, 2)
}

// A player that stops reading is closed; the publisher and the other player do
// not notice.
func TestStalledPlayer(t *testing.T) {
	short := defaultTimes()
	short.write = 500 * time.Millisecond
	r := newRigTimes(t, Config{}, short)
	s := r.Open("one", 0)
	p := r.Source("one", bigFilm().tracks...)
	servetest.Put(t, p, bigFilm().frames[0])
	if _, err := r.join("one-play"); err != nil { // and never reads
		t.Fatal(err)
	}
	healthy, err := r.join("one-play")
	if err != nil {
		t.Fatal(err)
	}
	const frames = 150
	r.media(healthy, 2)
	start := time.Now()
	for i := range frames { // 10 MB and more
		f := *bigFilm().frames[i%len(bigFilm().frames)]
		f.DTS = time.Duration(i+1) * 33 * time.Millisecond
		f.PTS = f.DTS
		servetest.Put(t, p, &f)
		r.media(healthy, 1)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("the healthy player needed %v", d)
	}
	servetest.Until(t, "the stalled player to be closed", func() bool { return s.Stats().Viewers["rtmp"] == 1 })
}

// A player slower than the stream loses pictures, never stops, and goes on with
// key frames.
func TestSlowPlayer(t *testing.T) {
	r := newRig(t, Config{})
	s := r.Open("one", 0)
	m := bigFilm()
	p := r.Source("one", m.tracks...)
	servetest.Put(t, p, m.frames[0])
	slow, err := r.join("one-play")
	if err != nil {
		t.Fatal(err)
	}
	r.media(slow, 2)
	for i := range 200 { // far ahead of what fits into sockets and ring
		f := *m.frames[i%len(m.frames)]
		f.DTS = time.Duration(i+1) * 33 * time.Millisecond
		f.PTS = f.DTS
		servetest.Put(t, p, &f)
	}
	s.Close("test")
	received, gap := 0, false
	last := uint32(0)
	for {
		msg, err := slow.chunks.next()
		if err != nil {
			break
		}
		if msg.kind != typeVideo {
			continue
		}
		tag, err := flv.ParseVideo(msg.body)
		if err != nil {
			t.Fatal(err)
		}
		if msg.time > last+40 {
			gap = true
			if !tag.Key {
				t.Fatalf("after the hole from %d to %d comes no key frame", last, msg.time)
			}
		}
		last = msg.time
		received++
	}
	if received == 200 || !gap {
		t.Errorf("%d of 200 pictures, hole %v", received, gap)
	}
	servetest.Until(t, "the count of what was dropped", func() bool { return s.Stats().Dropped > 0 }) // once the player has left
}

// ffmpeg reads timestamps beyond 24 bits with key frames of several chunks.
func TestFFmpegReadsExtendedTimestamps(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("rtmp://%s/app/key", ln.Addr())
	_ = ln.Close()
	listener := servetest.StartFFmpeg(t, "-copyts", "-listen", "1", "-i", url, "-map", "0", "-c", "copy", "-f", "framecrc", "pipe:1")
	defer listener.Kill()
	var c *Client
	servetest.Until(t, "ffmpeg to listen", func() bool {
		c, err = Dial(t.Context(), url, Options{Tracks: bigFilm().tracks})
		return err == nil
	})
	defer c.Close()
	const origin = (extended - 200) * time.Millisecond
	c.w.started, c.w.base = true, -origin
	for _, f := range bigFilm().frames {
		if err := c.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.Close()
	out, stderr, ok := listener.Wait()
	lines := servetest.Packets(out, 0)
	if len(lines) != len(bigFilm().frames) || !ok {
		t.Fatalf("ffmpeg read %d pictures of %d: %s", len(lines), len(bigFilm().frames), stderr)
	}
	var stream, dts, pts, duration, size int64
	for i, f := range bigFilm().frames {
		if _, err := fmt.Sscanf(lines[i], "%d, %d, %d, %d, %d,", &stream, &dts, &pts, &duration, &size); err != nil {
			t.Fatal(err)
		}
		if want := flv.Millis(f.DTS + origin); dts != want || size != int64(len(f.Payload)) {
			t.Errorf("picture %d: at %d with %d bytes; want %d with %d", i, dts, size, want, len(f.Payload))
		}
	}
}
