package e2e

import (
	"bytes"
	"context"
	le "encoding/binary"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib"
	rtmpcodecs "github.com/bluenviron/gortmplib/pkg/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
)

// enhanced is a clip in the codecs that only Enhanced RTMP carries, and a
// publisher of another maker's library: ffmpeg 5.1 cannot write such FLV.
type enhanced struct {
	video  rtmpcodecs.Codec
	length time.Duration
	units  []enhancedUnit                    // in order of time
	clock  func(time.Duration) time.Duration // nil, or the encoder's: what it says of a time since its start
	sent   atomic.Int64                      // pictures so far
}

type enhancedUnit struct {
	sound    bool
	pts, dts time.Duration
	au       [][]byte // NAL units, OBUs, or one packet
}

const enhancedLength = 4 * time.Second

// encodeEnhanced makes the clip with ffmpeg: 30 pictures a second with a key
// frame each second, and a tone.
func encodeEnhanced(t *testing.T, codec string) *enhanced {
	t.Helper()
	dir := t.TempDir()
	e := &enhanced{length: enhancedLength}
	seconds := []string{"-t", enhancedLength.String()[:1]}
	picture := append([]string{"ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30"}, seconds...)
	sound := filepath.Join(dir, "sound.ts")
	runCommand(t, append(append([]string{"ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"}, seconds...),
		"-c:a", "libopus", "-ac", "2", "-b:a", "64k", sound)...)
	if codec == "H.265" {
		e.video = &rtmpcodecs.H265{}
		file := filepath.Join(dir, "picture.ts")
		runCommand(t, append(picture, "-c:v", "libx265", "-preset", "ultrafast", "-x265-params",
			"log-level=none:keyint=30:min-keyint=30:open-gop=0:bframes=2", file)...)
		e.readTS(t, file)
	} else {
		e.video = &rtmpcodecs.AV1{}
		file := filepath.Join(dir, "picture.ivf")
		runCommand(t, append(picture, "-c:v", "libsvtav1", "-preset", "12", "-g", "30", "-svtav1-params", "pred-struct=1", file)...)
		e.readIVF(t, file)
	}
	e.readTS(t, sound)
	return e
}

func (e *enhanced) readTS(t *testing.T, file string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := &mpegts.Reader{R: f}
	if err := r.Initialize(); err != nil {
		t.Fatal(err)
	}
	first := int64(-1)
	at := func(ts int64) time.Duration {
		if first < 0 {
			first = ts
		}
		return time.Duration(ts-first) * time.Second / 90000
	}
	for _, track := range r.Tracks() {
		if len(e.units) == 0 { // the pictures come first
			take := func(pts, dts int64, au [][]byte) error {
				e.add(enhancedUnit{dts: at(dts), pts: at(pts), au: au})
				return nil
			}
			if _, ok := e.video.(*rtmpcodecs.H264); ok {
				r.OnDataH264(track, take)
			} else {
				r.OnDataH265(track, take)
			}
			continue
		}
		r.OnDataOpus(track, func(pts int64, packets [][]byte) error {
			for i, p := range packets {
				d := at(pts) + time.Duration(i)*20*time.Millisecond
				e.add(enhancedUnit{sound: true, dts: d, pts: d, au: [][]byte{p}})
			}
			return nil
		})
	}
	for r.Read() == nil {
	}
}

// readIVF reads the container of AV1 streams: a header of 32 bytes, then units
// behind their size and time.
func (e *enhanced) readIVF(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for b = b[32:]; len(b) >= 12; {
		n, at := le.LittleEndian.Uint32(b), le.LittleEndian.Uint64(b[4:])
		var obus av1.Bitstream
		if err := obus.Unmarshal(b[12 : 12+n]); err != nil {
			t.Fatal(err)
		}
		d := time.Duration(at) * time.Second / 30
		e.add(enhancedUnit{dts: d, pts: d, au: obus[1:]}) // without its delimiter: the library adds one
		b = b[12+n:]
	}
}

// add puts a unit in its place in time.
func (e *enhanced) add(u enhancedUnit) {
	i := len(e.units)
	for i > 0 && e.units[i-1].dts > u.dts {
		i--
	}
	e.units = append(e.units[:i], append([]enhancedUnit{u}, e.units[i:]...)...)
}

// publish sends the clip again and again, in real time, until the test ends.
func (e *enhanced) publish(t *testing.T, target string) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &gortmplib.Client{URL: u, Publish: true}
	if err := c.Initialize(ctx); err != nil {
		t.Fatal(err)
	}
	video := &gortmplib.Track{Codec: e.video}
	sound := &gortmplib.Track{Codec: &rtmpcodecs.Opus{IDHeader: &opus.IDHeader{Version: 1, ChannelCount: 2}}}
	w := &gortmplib.Writer{Conn: c, Tracks: []*gortmplib.Track{video, sound}}
	if err := w.Initialize(); err != nil {
		t.Fatal(err)
	}
	stop := e.loop(t, func(base time.Duration, u enhancedUnit) error {
		pts, dts, ok := e.stamp(base, u)
		if !ok {
			return nil
		}
		if u.sound {
			return w.WriteOpus(sound, pts, u.au[0])
		}
		switch e.video.(type) {
		case *rtmpcodecs.AV1:
			return w.WriteAV1(video, pts, u.au)
		case *rtmpcodecs.H265:
			return w.WriteH265(video, pts, dts, u.au)
		default:
			return w.WriteH264(video, pts, dts, u.au)
		}
	})
	t.Cleanup(func() { stop(c.Close); cancel() })
}

// stamp gives a unit its times and counts it; a clock that says less than 0 has
// stopped, and nothing more is sent.
func (e *enhanced) stamp(base time.Duration, u enhancedUnit) (pts, dts time.Duration, ok bool) {
	pts, dts = base+u.pts, base+u.dts
	if e.clock != nil {
		at := e.clock(dts)
		pts, dts = at+pts-dts, at
	}
	if ok = dts >= 0; ok && !u.sound {
		e.sent.Add(1)
	}
	return pts, dts, ok
}

// loop writes the clip's units again and again, in real time, until stop is
// called, which runs a function that makes a write in progress return.
func (e *enhanced) loop(t *testing.T, write func(base time.Duration, u enhancedUnit) error) (stop func(hangUp func())) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		start := time.Now()
		for base := time.Duration(0); ; base += e.length {
			for _, u := range e.units {
				select {
				case <-time.After(time.Until(start.Add(base + u.dts))):
				case <-ctx.Done():
					return
				}
				if err := write(base, u); err != nil {
					if ctx.Err() == nil {
						t.Errorf("publish: %v", err)
					}
					return
				}
			}
		}
	}()
	return func(hangUp func()) { cancel(); hangUp(); <-done }
}

// countRTMP plays an RTMP URL with the other library for some seconds.
func countRTMP(t *testing.T, target string, seconds int) (name string, pictures int64) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	c := &gortmplib.Client{URL: u}
	if err := c.Initialize(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := &gortmplib.Reader{Conn: c}
	if err := r.Initialize(); err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	for _, track := range r.Tracks() {
		switch track.Codec.(type) {
		case *rtmpcodecs.AV1:
			name = "AV1"
			r.OnDataAV1(track, func(time.Duration, [][]byte) { n.Add(1) })
		case *rtmpcodecs.H265:
			name = "H.265"
			r.OnDataH265(track, func(_, _ time.Duration, _ [][]byte) { n.Add(1) })
		default:
			r.OnDataMPEG4Audio(track, func(time.Duration, []byte) {})
		}
	}
	for end := time.Now().Add(time.Duration(seconds) * time.Second); time.Now().Before(end); {
		if err := r.Read(); err != nil {
			t.Fatal(err)
		}
	}
	return name, n.Load()
}

// H.265 and AV1 with Opus, published by enhanced RTMP, are read by ffmpeg from
// HLS and DASH, by another library from RTMP; what cannot carry them says so.
func TestEnhancedRTMP(t *testing.T) {
	parallel(t, nil)
	for codec, mime := range map[string]string{"H.265": "hvc1.1.6.", "AV1": "av01.0."} {
		t.Run(codec, func(t *testing.T) {
			parallel(t, browsers)
			c := startCloud(t, "srt: {addr: \"127.0.0.1:0\"}\n")
			s := c.newStream()
			encodeEnhanced(t, codec).publish(t, s.Ingest["rtmp"])
			c.wantStatus(s.ID, "live")
			var now struct {
				Stats struct {
					Tracks []struct {
						Codec         string
						Width, Height int
					}
					Unplayable map[string]string
				}
			}
			c.api("GET", "/api/v1/streams/"+s.ID, nil, &now)
			tracks := now.Stats.Tracks
			if len(tracks) != 2 || tracks[0].Codec != codec || tracks[0].Width != 640 || tracks[0].Height != 360 || tracks[1].Codec != "Opus" {
				t.Errorf("tracks %+v", tracks)
			}
			if !strings.Contains(now.Stats.Unplayable["webrtc"], codec) || (now.Stats.Unplayable["srt"] != "") != (codec == "AV1") {
				t.Errorf("unplayable %q", now.Stats.Unplayable)
			}
			if code, _, body := get(t, s.Play["hls"]); code != http.StatusOK || !bytes.Contains(body, []byte(`CODECS="`+mime)) {
				t.Errorf("multivariant playlist %d: %s", code, body)
			}
			together(t, []string{"hls", "dash"}, func(t *testing.T, output string) { wantMoving(t, s.Play[output]) })
			b := startBrowser(t)
			b.do(nil, "open", "page", strings.TrimSuffix(s.Play["hls"], "/index.m3u8"))
			shown := "glimpse.protocol === 'hls' && glimpse.framesDecoded > 30 && glimpse.reason.includes('AV1')"
			if codec == "H.265" { // Chromium here has no decoder for it
				shown = "glimpse.reason === 'This browser cannot play H.265 video.' && document.body.innerText.includes(glimpse.reason)"
			}
			eventually(t, shown, func() bool {
				var ok bool
				return b.try(&ok, "eval", "page", shown) == "" && ok
			})
			if name, n := countRTMP(t, s.Play["rtmp"], 4); name != codec || n < 100 {
				t.Errorf("an RTMP reader got %d pictures of %q", n, name)
			}
			if codec == "H.265" {
				wantMoving(t, s.Play["srt"])
			} else if out, err := readWithFFmpeg(t, "-i", s.Play["srt"], "-t", "1", "-f", "null", "-"); err == nil {
				t.Errorf("SRT carries AV1: %s", out)
			}
			res, err := http.Post(strings.Replace(s.Play["hls"], "index.m3u8", "whep", 1), "application/sdp", strings.NewReader("v=0\r\n"))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			var body bytes.Buffer
			if _, err := body.ReadFrom(res.Body); err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body.String(), `"CODEC"`) || !strings.Contains(body.String(), codec) {
				t.Errorf("WHEP answers %d %s", res.StatusCode, &body)
			}
		})
	}
}
