package rtmp

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/google/go-cmp/cmp"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/serve/servetest"
)

// commandBytes is a command's bytes on the wire.
func commandBytes(values ...any) string {
	body, err := amf0.Data(values).Marshal()
	if err != nil {
		panic(err)
	}
	return setChunkSize(outChunkSize) + string(oneChunk(3, typeCommand, 0, body))
}

func connectBytes() string {
	return commandBytes("connect", 1.0, amf0.Object{
		{Key: "app", Value: "live"}, {Key: "tcUrl", Value: "rtmp://h/live"},
		{Key: "fourCcList", Value: amf0.StrictArray{"hvc1", 3.0}},
		{Key: "videoFourCcInfoMap", Value: amf0.Object{{Key: "av01", Value: 7.0}, {Key: "vp09", Value: 2.0}}},
	})
}
func createBytes() string          { return commandBytes("createStream", 2.0, nil) }
func playBytes(name string) string { return commandBytes("play", 3.0, nil, name) }

// connect is answered with what may be published, in the words of both versions of
// Enhanced RTMP; what a peer says of itself is understood in both.
func TestSignalling(t *testing.T) {
	r := newRig(t, Config{})
	r.Open("one", time.Minute)
	c, answer, err := r.joinWith("one-play", amf0.ObjectEntry{Key: "fourCcList", Value: amf0.StrictArray{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	_ = c.conn.Close()
	info, _ := object(answer[3])
	got := map[string]any{}
	for _, key := range []string{"code", "fourCcList", "videoFourCcInfoMap", "audioFourCcInfoMap", "capsEx"} {
		got[key], _ = info.Get(key)
	}
	forward := func(codes ...string) (o amf0.Object) {
		for _, code := range codes {
			o = append(o, amf0.ObjectEntry{Key: code, Value: 4.0})
		}
		return o
	}
	want := map[string]any{
		"code": "NetConnection.Connect.Success", "fourCcList": amf0.StrictArray{"avc1", "hvc1", "av01", "mp4a", "Opus"},
		"videoFourCcInfoMap": forward("avc1", "hvc1", "av01"), "audioFourCcInfoMap": forward("mp4a", "Opus"), "capsEx": 0.0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	asked := amf0.Object{
		{Key: "fourCcList", Value: amf0.StrictArray{"hvc1", 3.0}},
		{Key: "videoFourCcInfoMap", Value: amf0.ECMAArray{{Key: "av01", Value: 1.0}, {Key: "vp09", Value: 2.0}, {Key: "vp08", Value: "x"}}},
		{Key: "audioFourCcInfoMap", Value: amf0.Object{{Key: "Opus", Value: 4.0}}},
	}
	if diff := cmp.Diff(map[string]bool{"hvc1": true, "av01": true, "Opus": true}, fourCCs(asked)); diff != "" {
		t.Error(diff)
	}
}

// A player that does not say that it decodes H.265 is told so, and is not fed it;
// one that does gets it. A client that publishes it says so in connect.
func TestPlayerWithoutCodec(t *testing.T) {
	r := newRig(t, Config{})
	r.Open("one", time.Minute)
	film := encodeH265(t)
	client, err := Dial(t.Context(), r.url("one-key"), Options{Tracks: film.tracks})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, f := range film.frames {
		if err := client.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
	}
	servetest.Until(t, "the stream", func() bool { return r.Hub.Stream("one").Stats().Frames > 5 })
	c, err := r.join("one-play")
	if err == nil {
		for err == nil {
			_, err = c.hear()
		}
	}
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Code != codeFailed || refused.Description != `the stream is H.265, which this RTMP player ("hvc1" is not in its fourCcList) does not take: watch it by HLS or in the player page` {
		t.Errorf("%v", err)
	}
	c, _, err = r.joinWith("one-play", amf0.ObjectEntry{Key: "videoFourCcInfoMap", Value: amf0.Object{{Key: "hvc1", Value: 1.0}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range r.media(c, 3) {
		if string(m.body[1:5]) != "hvc1" {
			t.Errorf("a message of % x", m.body[:8])
		}
	}
}

// encodeH265 makes a film of ten pictures, each fifth a key frame.
func encodeH265(t *testing.T) *film {
	t.Helper()
	var stream bytes.Buffer
	cmd := exec.Command("ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=10:duration=1",
		"-pix_fmt", "yuv420p", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=5:min-keyint=5:scenecut=0:bframes=0:aud=1", "-f", "hevc", "pipe:1")
	cmd.Stdout = &stream
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	made, pictures := &film{}, codec.NewPictures("H.265")
	const delimiter = "\x00\x00\x00\x01\x46\x01"
	for i, unit := range strings.Split(stream.String(), delimiter)[1:] {
		payload, key, err := pictures.AnnexB([]byte(delimiter + unit))
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			made.tracks = []*frame.Track{{Codec: pictures.Codec()}}
		}
		at := time.Duration(i) * 100 * time.Millisecond
		made.frames = append(made.frames, &frame.Frame{Track: made.tracks[0], PTS: at, DTS: at, Key: key, Payload: payload})
	}
	return made
}
