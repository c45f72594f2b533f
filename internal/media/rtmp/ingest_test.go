package rtmp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/flv"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/serve"
	"glimpse/internal/media/serve/servetest"
)

// Encoders with codecs that are not supported read which one and what is.
func TestUnsupportedCodecs(t *testing.T) {
	r := newRig(t, Config{})
	r.Open("one", time.Minute)
	for want, args := range map[string][]string{
		"audio codec MP3 is not supported here: send H.264": {"-c:a", "libmp3lame"},
		"video codec Sorenson H.263 is not supported":       {"-c:v", "flv1", "-tune", "", "-preset", ""},
	} {
		t.Run(want, func(t *testing.T) {
			args := append([]string{
				"-re", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=30", "-f", "lavfi", "-i", "sine=sample_rate=44100",
				"-t", "10", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac",
			}, clean(args)...)
			start := time.Now()
			_, stderr, ok := servetest.StartFFmpeg(t, append(args, "-f", "flv", r.url("one-key"))...).Wait()
			if ok || !strings.Contains(stderr, want) {
				t.Errorf("ffmpeg reads: %s", stderr)
			}
			if d := time.Since(start); d > 8*time.Second {
				t.Errorf("refused after %v", d)
			}
		})
	}
	if strings.Contains(r.Logs.String(), "one-key") {
		t.Error("the key is in the log")
	}
	if !strings.Contains(r.Logs.String(), "MP3") {
		t.Error("the refusal is not in the log")
	}
}

// clean drops options without a value.
func clean(args []string) (out []string) {
	for i := 0; i < len(args); i += 2 {
		if args[i+1] != "" {
			out = append(out, args[i], args[i+1])
		}
	}
	return out
}

// An unknown key, a wrong application and a bad name are told apart.
func TestRefusedAddresses(t *testing.T) {
	r := newRig(t, Config{App: "cam"})
	base := "rtmp://" + r.server.Addr().String()
	for url, want := range map[string]string{
		base + "/cam/s3cret":   "no stream has this key",
		base + "/live/s3cret":  "the address must be rtmp://host/cam/NAME",
		base + "/cam/x/s3cret": "the address must be rtmp://host/cam/NAME",
	} {
		_, err := Dial(t.Context(), url, Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; %q expected", url, err, want)
		}
	}
	_, stderr, ok := servetest.StartFFmpeg(t, publishing(base+"/cam/s3cret", 5)...).Wait()
	if ok || !strings.Contains(stderr, "no stream has this key") {
		t.Errorf("ffmpeg reads: %s", stderr)
	}
	if strings.Contains(r.Logs.String(), "s3cret") {
		t.Errorf("the key is in the log: %s", r.Logs)
	}
}

// E11 E40
// Several publishers at once, each with its own key, on a port and under an
// application name of the operator's choice.
func TestConcurrentStreams(t *testing.T) {
	r := newRig(t, Config{App: "cam"})
	base := "rtmp://" + r.server.Addr().String() + "/cam/"
	var streams []*hub.Stream
	for _, name := range []string{"a", "b", "c"} {
		streams = append(streams, r.Open(name, time.Minute))
		c, err := Dial(t.Context(), base+name+"-key", Options{Tracks: smallFilm().tracks})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, f := range smallFilm().frames {
			if err := c.WriteFrame(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, s := range streams {
		servetest.Until(t, s.ID()+" to be live", func() bool { return s.State() == hub.StateLive })
	}
}

// The newer publisher takes over at its first key frame, the older one is told
// and closed, the player never notices.
func TestTakeover(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	s := r.Open("one", time.Minute)
	first := servetest.StartFFmpeg(t, publishing(r.url("one-key"), 20)...)
	servetest.Until(t, "the first publisher", func() bool { return s.State() == hub.StateLive })
	player := servetest.StartFFmpeg(t, "-i", r.url("one-play"), "-map", "0", "-c", "copy", "-f", "framecrc", "pipe:1")
	servetest.Until(t, "the player", func() bool { return s.Stats().Viewers["rtmp"] == 1 })

	second := servetest.StartFFmpeg(t, publishing(r.url("one-key"), 3)...)
	_, stderr, ok := first.Wait()
	if ok || !strings.Contains(stderr, hub.ErrSuperseded.Error()) {
		t.Errorf("the older publisher reads: %s", stderr)
	}
	if _, stderr, ok = second.Wait(); !ok {
		t.Errorf("the newer publisher: %s", stderr)
	}
	s.Close("test")
	out, stderr, ok := player.Wait()
	if !ok || strings.Contains(stderr, "non monoton") {
		t.Errorf("player: %s", stderr)
	}
	if n := len(servetest.Packets(out, 0)); n < 90 {
		t.Errorf("%d pictures played; the newer publisher alone sent 90", n)
	}
}

// A publisher whose stream is closed is told and closed.
func TestStreamClosedUnderPublisher(t *testing.T) {
	r := newRig(t, Config{})
	s := r.Open("one", time.Minute)
	c, err := Dial(t.Context(), r.url("one-key"), Options{Tracks: bigFilm().tracks})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.WriteFrame(bigFilm().frames[0]); err != nil {
		t.Fatal(err)
	}
	servetest.Until(t, "the stream to be live", func() bool { return s.State() == hub.StateLive })
	s.Close("test")
	select {
	case <-c.Done():
	case <-time.After(5 * time.Second):
		t.Fatal("the publisher was not let go")
	}
	var refused *RefusedError
	if err := c.Err(); !errors.As(err, &refused) || !strings.Contains(err.Error(), hub.ErrEnded.Error()) {
		t.Errorf("the publisher learns: %v", err)
	}
}

// A publisher that says nothing any more is given up.
func TestSilentPublisher(t *testing.T) {
	short := defaultTimes()
	short.idle = 300 * time.Millisecond
	r := newRigTimes(t, Config{}, short)
	s := r.Open("one", time.Minute)
	c, err := Dial(t.Context(), r.url("one-key"), Options{Tracks: bigFilm().tracks})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.WriteFrame(bigFilm().frames[0]); err != nil {
		t.Fatal(err)
	}
	servetest.Until(t, "the stream to be interrupted", func() bool { return s.State() == hub.StateInterrupted })
	<-c.Done()
}

// config and picture are tags for the demuxer.
func config(c flv.Codec) message { return message{kind: flv.TagType(c.Kind()), body: c.FLVConfig()} }

func picture(c *codec.H264, ts uint32, key bool, cts int32, payload []byte) message {
	return message{kind: typeVideo, time: ts, body: append(c.AppendFLV(nil, key, cts), payload...)}
}

func avcc(units ...[]byte) (out []byte) {
	for _, n := range units {
		out = append(out, 0, 0, byte(len(n)>>8), byte(len(n)))
		out = append(out, n...)
	}
	return out
}

func TestDemuxer(t *testing.T) {
	one := smallFilm().tracks[0].Codec.(*codec.H264)
	two := bigFilm().tracks[0].Codec.(*codec.H264)
	idr, slice := []byte{0x65, 1}, []byte{0x41, 2}
	var c collector
	d := demuxer{Intake: serve.Intake{Out: &c, Log: slog.New(slog.DiscardHandler)}}
	feed := func(m message) {
		t.Helper()
		if err := d.message(m); err != nil {
			t.Fatal(err)
		}
	}
	feed(picture(one, 0, true, 0, avcc(idr))) // before the configuration: dropped
	feed(config(one))
	feed(config(one)) // repeated: not a new track
	feed(picture(one, 1000, true, 66, avcc(idr, slice)))
	feed(picture(one, 1033, false, -33, avcc(slice)))
	feed(picture(one, 1066, true, 0, avcc(one.SPS, one.PPS, idr))) // the same sets in-band
	feed(picture(one, 1100, true, 0, avcc(two.SPS, two.PPS, idr))) // new ones
	feed(picture(one, 1133, false, 0, []byte{0, 0, 0, 9, 1}))      // cut short: dropped
	feed(picture(one, 1133, false, 0, nil))
	feed(message{kind: typeVideo, body: []byte{0x17}})
	feed(message{kind: 99, body: []byte{1}})

	if len(c.tracks) != 2 || !c.tracks[0].Codec.(*codec.H264).Equal(one) || !c.tracks[1].Codec.(*codec.H264).Equal(two) {
		t.Fatalf("%d tracks; the configuration and the new sets make two", len(c.tracks))
	}
	if len(c.frames) != 4 || d.Malformed() != 3 {
		t.Fatalf("%d frames, %d malformed", len(c.frames), d.Malformed())
	}
	if f := c.frames[0]; f.PTS-f.DTS != 66*time.Millisecond || !f.Key || !bytes.Equal(f.Payload, avcc(idr, slice)) {
		t.Errorf("first frame: %+v", f)
	}
	if f := c.frames[1]; f.PTS-f.DTS != -33*time.Millisecond || f.Key || f.DTS != 1033*time.Millisecond {
		t.Errorf("second frame: %+v", f)
	}
	if c.frames[2].Track != c.tracks[0] || c.frames[3].Track != c.tracks[1] {
		t.Error("in-band sets apply to the wrong frames")
	}
}

func TestMetadataAnnouncesSound(t *testing.T) {
	for name, tt := range map[string]struct {
		data amf0.Data
		want bool
	}{
		"ffmpeg":     {amf0.Data{"@setDataFrame", "onMetaData", amf0.ECMAArray{{Key: "audiocodecid", Value: 10.0}}}, true},
		"by name":    {amf0.Data{"onMetaData", amf0.Object{{Key: "audiocodecid", Value: "mp4a"}}}, true},
		"no sound":   {amf0.Data{"onMetaData", amf0.Object{{Key: "videocodecid", Value: 7.0}}}, false},
		"codec 0":    {amf0.Data{"onMetaData", amf0.Object{{Key: "audiocodecid", Value: 0.0}}}, false},
		"other data": {amf0.Data{"onTextData", amf0.Object{{Key: "audiocodecid", Value: 10.0}}}, false},
		"a name":     {amf0.Data{"@setDataFrame"}, false},
	} {
		var c collector
		d := demuxer{Intake: serve.Intake{Out: &c}}
		body, err := tt.data.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if err := d.message(message{kind: typeData, body: body}); err != nil || c.expected != tt.want {
			t.Errorf("%s: sound expected: %v, %v", name, c.expected, err)
		}
	}
}

func TestGoodbyes(t *testing.T) {
	for _, name := range []string{"deleteStream", "closeStream", "FCUnpublish", "_checkbw", ""} {
		body, err := amf0.Data{name, 5.0}.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		var d demuxer
		wantEnd := strings.HasSuffix(name, "Stream")
		for _, m := range []message{{kind: typeCommand, body: body}, {kind: typeCommandAMF3, body: append([]byte{0}, body...)}} {
			if err := d.message(m); errors.Is(err, errUnpublished) != wantEnd {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
}

// Publishers get the acknowledgements that they ask for, and answers to pings.
func TestAcknowledgements(t *testing.T) {
	r := newRig(t, Config{})
	r.Open("one", time.Minute)
	where, err := parseTarget(r.url("one-key"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", where.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := &Client{conn: conn, target: where, chunks: newChunkReader(conn, strangerLimits())}
	stream, err := c.open(nil, true)
	if err == nil {
		err = c.publish(stream)
	}
	if err != nil {
		t.Fatal(err)
	}
	w := newMediaWriter(conn, stream, time.Second)
	err = errors.Join(
		c.send(2, typeWindowAck, 0, []byte{0, 2, 0, 0}),
		c.send(2, typeUserControl, 0, []byte{0, 6, 1, 2, 3, 4}),
		w.Announce(bigFilm().tracks),
	)
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, f := range bigFilm().frames {
		if err := errors.Join(w.Frame(f), w.Flush()); err != nil {
			t.Fatal(err)
		}
		size += len(f.Payload)
	}
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	pong, acked := false, 0
	for acked < size-(128<<10) {
		m, err := c.chunks.next()
		if err != nil {
			t.Fatalf("%d of %d bytes acknowledged, then %v", acked, size, err)
		}
		switch m.kind {
		case typeUserControl:
			pong = bytes.Equal(m.body, []byte{0, 7, 1, 2, 3, 4})
		case typeAck:
			acked = int(binary.BigEndian.Uint32(m.body))
		}
	}
	if !pong {
		t.Error("the ping was not answered")
	}
}
