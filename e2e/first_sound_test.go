package e2e

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/dash-mpd/mpd"
	"github.com/bluenviron/gortmplib"
	"github.com/bluenviron/gortmplib/pkg/message"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	tscodecs "github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media/oggwriter"

	"glimpse/internal/media/srt/live"
)

// soundWithin is what a viewer waits for sound at most, from its request on.
const soundWithin = 500 * time.Millisecond

// Who comes to a stream that runs already, whose sound has to be converted and
// that nobody else hears, is sent sound within half a second of asking, by every
// output; and Chromium plays it by WebRTC. Players of others add what they need
// themselves (ffmpeg 150 ms to start, hls.js and dash.js some requests and their
// buffers), so clients of our own look at the packets and parts as they come; in
// hls.js and dash.js the sound is there with the first pictures. Each time a fresh
// stream, so that nothing is converted yet; of three viewers one has to, since a
// busy machine is not the server's fault and a fault is there each time; silence
// is a fault each time. Not in parallel, for the same reason; whole segments, which
// take longer still, in the long run only.
func TestFirstSound(t *testing.T) {
	alone(t)
	c := startCloud(t, withSRT)
	tone := encodeOpus(t, "sine=frequency=440:sample_rate=48000")
	aac := func(t *testing.T, s stream) { publish(t, s.Ingest["rtmp"]) }
	opus := func(t *testing.T, s stream) { tone.publish(t, s.Ingest["rtmp"]) }
	byWHIP := func(t *testing.T, s stream) { tone.publishWHIP(t, s.Ingest["whip"]) }
	b := startBrowser(t)
	// The sound device of a browser takes some hundred milliseconds to start, whoever plays.
	b.do(nil, "open", "warm", c.url+"/healthz")
	b.do(nil, "eval", "warm", "void (window.ears = new AudioContext()).createConstantSource().connect(ears.destination)")
	inChromium := func(page func(s stream) string, request string, fromPicture bool) func(*testing.T, stream) time.Duration {
		return func(t *testing.T, s stream) time.Duration {
			var seen struct{ Picture, Sound float64 }
			b.do(&seen, "first", "page", page(s), request)
			b.do(nil, "close", "page")
			t.Logf("first picture after %.0f ms, first sound after %.0f ms", seen.Picture, seen.Sound)
			if seen.Sound == 0 {
				t.Fatal("no sound")
			}
			if fromPicture {
				seen.Sound -= seen.Picture
			}
			return time.Duration(seen.Sound) * time.Millisecond
		}
	}
	for _, viewer := range []struct {
		name  string
		from  func(t *testing.T, s stream)
		long  bool          // only in long runs
		past  time.Duration // how old the stream is
		sound func(t *testing.T, s stream) time.Duration
	}{
		{"RTMP", opus, false, 2 * time.Second, func(t *testing.T, s stream) time.Duration { return soundByRTMP(t, s.Play["rtmp"]) }},
		{"SRT", opus, false, 2 * time.Second, func(t *testing.T, s stream) time.Duration { return soundBySRT(t, s.Play["srt"]) }},
		{"LL-HLS", opus, false, 3 * time.Second, func(t *testing.T, s stream) time.Duration { return soundByHLS(t, s.Play["hls"], 1) }},
		{"LL-HLS of WHIP", byWHIP, false, 3 * time.Second, func(t *testing.T, s stream) time.Duration { return soundByHLS(t, s.Play["hls"], 1) }},
		// Players of whole segments begin with the third from the end.
		{"HLS", opus, true, 11 * time.Second, func(t *testing.T, s stream) time.Duration { return soundByHLS(t, s.Play["hls"], 30) }},
		{"HLS of WHIP", byWHIP, true, 11 * time.Second, func(t *testing.T, s stream) time.Duration { return soundByHLS(t, s.Play["hls"], 30) }},
		{"DASH", opus, false, 3 * time.Second, func(t *testing.T, s stream) time.Duration { return soundByDASH(t, s.Play["dash"]) }},
		{"WHEP", aac, false, 2 * time.Second, func(t *testing.T, s stream) time.Duration { return soundByWHEP(t, s.Play["whep"]) }},
		{"Chromium by WHEP", aac, false, 2 * time.Second, inChromium(func(s stream) string { return s.Play["page"] + "?protocol=webrtc" }, "/whep$", false)},
		{"hls.js", opus, false, 4 * time.Second, inChromium(func(s stream) string { return s.Play["page"] + "?protocol=hls" }, "/index.m3u8$", true)},
		{"dash.js", opus, false, 4 * time.Second, inChromium(func(s stream) string { return serveDash(t, s.Play["dash"]) }, "/index.mpd$", true)},
	} {
		if viewer.long && !long {
			continue
		}
		t.Run(viewer.name, func(t *testing.T) {
			tries, quick := 3, 0
			var took []time.Duration
			if long {
				tries = 10
			}
			for range tries {
				s := c.newStream()
				var after time.Duration
				t.Run("viewer", func(t *testing.T) { // its publisher ends with it
					viewer.from(t, s)
					c.wantStatus(s.ID, "live")
					time.Sleep(viewer.past)
					if n := c.children(); n != 0 {
						t.Fatalf("%d conversions before anybody asked", n)
					}
					after = viewer.sound(t, s)
					t.Logf("first sound after %v", after.Round(time.Millisecond))
				})
				c.api("DELETE", "/api/v1/streams/"+s.ID, nil, nil)
				eventually(t, "the conversion ends with its stream", func() bool { return c.children() == 0 })
				took = append(took, after)
				if after > 0 && after < soundWithin {
					quick++
				}
				if quick > 0 && !long {
					return
				}
			}
			slices.Sort(took)
			t.Logf("of %d: median %v, worst %v", tries, took[tries/2], took[tries-1])
			if quick < tries {
				t.Errorf("%d of %d viewers heard the sound within %v", quick, tries, soundWithin)
			}
		})
	}
}

// What a packet of a tone has at least, and one of silence never, in bytes.
const toneBytes = 60

// soundByRTMP plays by another maker's RTMP and returns how long after it began to
// connect the first packet of sound came that is none of silence.
func soundByRTMP(t *testing.T, target string) time.Duration {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	// The library takes the stream's name as the fragment.
	app, name := path.Split(u.Path)
	u.Path, u.Fragment = strings.TrimSuffix(app, "/"), name
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	begun := time.Now()
	client := &gortmplib.Client{URL: u}
	if err := client.Initialize(ctx); err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for {
		m, err := client.Read()
		if err != nil {
			t.Fatal(err)
		}
		if a, ok := m.(*message.Audio); ok && len(a.AU) >= toneBytes {
			return time.Since(begun)
		}
	}
}

// soundBySRT does it by SRT, with the default latency of 120 ms.
func soundBySRT(t *testing.T, target string) time.Duration {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	begun := time.Now()
	conn, err := live.Dial(ctx, u.Host, live.Options{StreamID: u.Query().Get("streamid")})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	pipe, to := io.Pipe()
	defer pipe.Close()
	go func() {
		for {
			chunk, err := conn.Read()
			if err == nil {
				_, err = to.Write(chunk)
			}
			if err != nil {
				to.CloseWithError(err)
				return
			}
		}
	}()
	r := &mpegts.Reader{R: bufio.NewReader(pipe)}
	if err := r.Initialize(); err != nil {
		t.Fatal(err)
	}
	heard := time.Duration(0)
	for _, track := range r.Tracks() {
		if _, ok := track.Codec.(*tscodecs.MPEG4Audio); ok {
			r.OnDataMPEG4Audio(track, func(_ int64, aus [][]byte) error {
				if heard == 0 && len(aus[0]) >= toneBytes {
					heard = time.Since(begun)
				}
				return nil
			})
		}
	}
	for heard == 0 {
		if err := r.Read(); err != nil {
			t.Fatal(err)
		}
	}
	return heard
}

// A part of a tone has at least so many bytes, one of silence never.
const tonePart = 1000

// soundByHLS asks for the playlists as a player does and for the part of sound so
// many from the end. It returns how long that took; a part of silence is a failure.
func soundByHLS(t *testing.T, index string, fromEnd int) time.Duration {
	t.Helper()
	begun := time.Now()
	fetch := func(url string) []byte {
		code, _, body := get(t, url)
		if code != http.StatusOK {
			t.Fatalf("%s: %d", url, code)
		}
		return body
	}
	session := regexp.MustCompile(`~h\w+/`).FindString(string(fetch(index)))
	base := strings.TrimSuffix(index, "index.m3u8") + session
	parts := regexp.MustCompile(`#EXT-X-PART:.*URI="(.*?)"`).FindAllStringSubmatch(string(fetch(base+"audio.m3u8")), -1)
	if len(parts) < fromEnd {
		t.Fatalf("%d parts", len(parts))
	}
	body := fetch(base + parts[len(parts)-fromEnd][1])
	after := time.Since(begun)
	if len(body) < tonePart {
		t.Errorf("%d bytes: silence", len(body))
	}
	return after
}

// soundByDASH asks for the description as a player does and for the sound's newest
// closed segment, where players that stay 2 s behind begin, and returns how long it
// took until a tone's bytes came.
func soundByDASH(t *testing.T, index string) time.Duration {
	t.Helper()
	begun := time.Now()
	res, err := http.Get(index)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(err, res.Status)
	}
	m, err := mpd.ReadFromString(string(body))
	if err != nil {
		t.Fatal(err)
	}
	sound := m.Periods[len(m.Periods)-1].AdaptationSets[1].Representations[0].GetSegmentTemplate()
	number := int(*sound.StartNumber) + len(sound.SegmentTimeline.S) - 2
	at, err := res.Request.URL.Parse(strings.ReplaceAll(sound.Media, "$Number$", strconv.Itoa(number)))
	if err != nil {
		t.Fatal(err)
	}
	if res, err = http.Get(at.String()); err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.ReadFull(res.Body, make([]byte, tonePart)); err != nil {
		t.Fatal(err)
	}
	return time.Since(begun)
}

var silenceEnds = regexp.MustCompile(`silence_end: ([\d.]+)`)

// soundByWHEP plays a WHEP URL with another maker's WebRTC and returns how long
// after the POST the first packet came that can be heard: the packets' arrival is
// noted, then ffmpeg decodes them.
func soundByWHEP(t *testing.T, url string) time.Duration {
	t.Helper()
	pc := peerConnection(t)
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		if _, err := pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "heard.ogg")
	const packets = 60
	var came []time.Time
	done := make(chan error, 1)
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		if track.Kind() != webrtc.RTPCodecTypeAudio {
			return
		}
		done <- func() error {
			w, err := oggwriter.New(file, 48000, 2)
			for err == nil && len(came) < packets {
				p, _, readErr := track.ReadRTP()
				if readErr != nil {
					return readErr
				}
				came = append(came, time.Now())
				err = w.WriteRTP(p)
			}
			return errors.Join(err, w.Close())
		}()
	})
	begun := offerTo(t, pc, url)
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(patience):
		t.Fatal("no sound by WebRTC")
	}
	out, err := readWithFFmpeg(t, "-nostats", "-i", file, "-af", "silencedetect=noise=-40dB:d=0.005", "-f", "null", "-")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	first := 0 // the packet that is heard
	if m := silenceEnds.FindSubmatch(out); m != nil {
		at, _ := strconv.ParseFloat(string(m[1]), 64)
		first = int(at / 0.02)
	}
	if first >= packets {
		t.Fatalf("nothing is heard:\n%s", out)
	}
	return came[first].Sub(begun)
}
