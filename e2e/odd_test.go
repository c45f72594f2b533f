package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
)

// oddStream is what some encoder somewhere sends.
type oddStream struct {
	name    string
	input   string   // ffmpeg's test picture
	more    []string // arguments of the encoder
	format  string   // flv unless it says mpegts, by SRT
	parts   bool     // frames come evenly: parts have their length
	width   int
	rate    float64 // pictures a second; 0: not counted
	long    bool    // only in long runs
	segment float64 // no segment is longer, seconds; 0: 3
}

func oddStreams() []oddStream {
	const small = "testsrc2=size=640x360:rate="
	return []oddStream{
		{name: "29.97", input: small + "30000/1001", parts: true, width: 640, rate: 29.97},
		{name: "variable rate", input: small + "30,select='gt(mod(n,7),2)+not(mod(n,60))'", more: []string{"-fps_mode", "vfr"}, width: 640, rate: 17, segment: 4},
		{name: "B-frames by SRT", input: small + "30", more: reordered, format: "mpegts", parts: true, width: 640, rate: 30},
		{name: "25", input: small + "25", more: []string{"-g", "50"}, parts: true, width: 640, rate: 25, long: true},
		{name: "50 in halves of a second", input: small + "50", more: []string{"-g", "25"}, parts: true, width: 640, rate: 50, long: true},
		{name: "5", input: small + "5", more: []string{"-g", "10"}, width: 640, rate: 5, long: true},
		{name: "portrait", input: "testsrc2=size=360x640:rate=30", parts: true, width: 360, rate: 30, long: true},
		{name: "odd size", input: "testsrc2=size=854x482:rate=30", parts: true, width: 854, rate: 30, long: true},
		{name: "parameters before each picture", input: small + "30", more: []string{"-bsf:v", "dump_extra=freq=all"}, parts: true, width: 640, rate: 30, long: true},
		{name: "no parameters but in the header", input: small + "30", more: []string{"-bsf:v", "filter_units=remove_types=6-9"}, parts: true, width: 640, rate: 30, long: true},
		{name: "times below 0", input: small + "30", more: append([]string{"-output_ts_offset", "-0.05"}, reordered...), parts: true, width: 640, rate: 30, long: true},
		{name: "late sound", input: small + "30", more: []string{"-af", "adelay=delays=8000:all=1"}, parts: true, width: 640, rate: 30, long: true},
		{name: "a key frame in 30 s", input: small + "30", more: []string{"-g", "900", "-keyint_min", "900"}, parts: true, width: 640, rate: 30, long: true, segment: 12},
		{name: "1080p60 at 8 Mb/s", input: "testsrc2=size=1920x1080:rate=60", more: []string{"-g", "120", "-b:v", "8M", "-minrate", "8M", "-maxrate", "8M", "-bufsize", "8M"},
			parts: true, width: 1920, rate: 60, long: true},
		{name: "key frames of 4 MB", input: "testsrc2=size=1920x1080:rate=2,noise=alls=96:allf=t", more: []string{"-g", "4", "-b:v", "40M", "-qp", "11"}, width: 1920, rate: 2, long: true},
	}
}

// Odd streams (FAULTS F5, F7 among them) come out of the real binary as playlists
// that follow the rules and media that decode without a word from ffmpeg.
// GLIMPSE_LONG adds the rarer ones.
func TestOddStreams(t *testing.T) {
	parallel(t, nil)
	for _, odd := range oddStreams() {
		if odd.long && !long {
			continue
		}
		t.Run(odd.name, func(t *testing.T) {
			parallel(t, others)
			c := startCloud(t, "srt: {addr: \"127.0.0.1:0\"}\n")
			s := c.newStream()
			odd.publish(t, s)
			c.wantStatus(s.ID, "live")
			after := 10 * time.Second // of playing: some segments
			if odd.segment > 5 {
				after = 40 * time.Second
			}
			eventuallyIn(t, "the window is long enough", after+patience, func() bool {
				return windowOf(t, s.Play["hls"]) > after
			})
			odd.check(t, s.Play["hls"])
		})
	}
}

func (o *oddStream) publish(t *testing.T, s stream) {
	t.Helper()
	format, target := "flv", s.Ingest["rtmp"]
	if o.format != "" {
		format, target = o.format, s.Ingest["srt"]
	}
	argv := []string{"ffmpeg", "-hide_banner", "-loglevel", "warning", "-re", "-f", "lavfi", "-i", o.input,
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p",
		"-g", "60", "-sc_threshold", "0", "-b:v", "800k", "-c:a", "aac", "-ac", "2", "-b:a", "96k"}
	start(t, "ffmpeg publisher", nil, append(append(argv, o.more...), "-f", format, target)...)
}

// eventuallyIn is eventually with a patience of its own.
func eventuallyIn(t *testing.T, what string, patience time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(250 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within %v: %s", patience, what)
}

// mediaList fetches a media playlist of a stream (video.m3u8 or audio.m3u8) and
// reads it with another library; nil while there is none.
func mediaList(t *testing.T, index, name string) *playlist.Media {
	t.Helper()
	code, _, body := get(t, strings.Replace(index, "index.m3u8", name, 1))
	if code != http.StatusOK {
		return nil
	}
	var m playlist.Media
	if err := m.Unmarshal(body); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, body)
	}
	return &m
}

// windowOf is the length of what is listed.
func windowOf(t *testing.T, index string) (d time.Duration) {
	t.Helper()
	if m := mediaList(t, index, "video.m3u8"); m != nil {
		for _, s := range m.Segments {
			d += s.Duration
		}
	}
	return d
}

// check looks at both playlists, then decodes the closed segments strictly.
func (o *oddStream) check(t *testing.T, index string) {
	t.Helper()
	lists := map[string]*playlist.Media{}
	for _, name := range []string{"video.m3u8", "audio.m3u8"} {
		m := mediaList(t, index, name)
		lists[name] = m
		if m.TargetDuration != 12 || m.PartInf == nil || m.ServerControl == nil || !m.ServerControl.CanBlockReload || m.PreloadHint == nil || m.Map == nil {
			t.Errorf("%s lacks what low latency needs: %+v", name, m)
			continue
		}
		o.wantParts(t, name, m)
	}
	v, a := lists["video.m3u8"], lists["audio.m3u8"]
	if d := v.MediaSequence - a.MediaSequence; d < -1 || d > 1 {
		t.Errorf("pictures begin with segment %d, sound with %d", v.MediaSequence, a.MediaSequence)
	}
	most := o.segment
	if most == 0 {
		most = 3
	}
	for _, s := range v.Segments {
		if s.Duration.Seconds() > most {
			t.Errorf("a segment of %v", s.Duration)
		}
		if s.Discontinuity {
			t.Error("a discontinuity")
		}
	}
	// The newest ones: a window of many bytes is short, and its end goes.
	decodeStrictly(t, index, newest(a), 0)
	lead := len(v.Segments) <= newestFew
	pictures, seconds := decodeStrictly(t, index, newest(v), o.width)
	if lead { // five pictures a second for 2 s
		pictures, seconds = pictures-10, seconds-2
	}
	if got := float64(pictures) / seconds; o.rate > 0 && (got < 0.85*o.rate || got > 1.1*o.rate) {
		t.Errorf("%d pictures in %.1f s: %.1f a second, %g were sent", pictures, seconds, got, o.rate)
	}
}

// newestFew segments are decoded.
const newestFew = 5

func newest(m *playlist.Media) *playlist.Media {
	few := *m
	few.Segments = m.Segments[max(0, len(m.Segments)-newestFew):]
	return &few
}

// wantParts checks RFC 8216bis §4.4.3.7 and §4.4.4.9: no part is longer than the
// target, and only a segment's last may be shorter than 85 % of it. A picture
// that lasts longer is a part of its own.
func (o *oddStream) wantParts(t *testing.T, name string, m *playlist.Media) {
	t.Helper()
	target := m.PartInf.PartTarget
	if hold := m.ServerControl.PartHoldBack; hold == nil || *hold < 3*target {
		t.Errorf("%s: PART-HOLD-BACK %v of parts of %v", name, hold, target)
	}
	check := func(parts []*playlist.MediaPart, closed bool) {
		for i, p := range parts {
			last := closed && i == len(parts)-1
			if p.Duration > target || !last && p.Duration < target*85/100 {
				t.Errorf("%s: part %d of %d lasts %v, the target is %v", name, i+1, len(parts), p.Duration, target)
			}
		}
	}
	if !o.parts {
		return
	}
	for i, s := range m.Segments {
		if i > 0 || !strings.Contains(name, "audio") {
			check(s.Parts, true)
		}
	}
	check(m.Parts, false)
}

// decodeStrictly gives ffmpeg the closed segments behind their init and wants no word
// from it; it returns how many pictures there are.
func decodeStrictly(t *testing.T, index string, m *playlist.Media, width int) (pictures int, seconds float64) {
	t.Helper()
	base := strings.TrimSuffix(index, "index.m3u8")
	code, _, all := get(t, base+m.Map.URI)
	if code != http.StatusOK {
		t.Fatalf("%s: %d", m.Map.URI, code)
	}
	all = bytes.Clone(all)
	for _, s := range m.Segments {
		code, header, body := get(t, base+s.URI)
		if code != http.StatusOK || !strings.Contains(header.Get("Cache-Control"), "immutable") {
			t.Fatalf("%s: %d, %q", s.URI, code, header.Get("Cache-Control"))
		}
		all = append(all, body...)
		seconds += s.Duration.Seconds()
	}
	file := filepath.Join(t.TempDir(), "media.mp4")
	if err := os.WriteFile(file, all, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := readWithFFmpeg(t, "-v", "warning", "-err_detect", "explode", "-probesize", "200M", "-i", file, "-f", "null", "-")
	if err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("ffmpeg: %v\n%s", err, out)
	}
	var probed struct {
		Streams []struct {
			Width   int
			Packets string `json:"nb_read_packets"`
		}
	}
	if err := json.Unmarshal([]byte(runCommand(t, "ffprobe", "-v", "error", "-count_packets", "-show_streams", "-of", "json", file)), &probed); err != nil || len(probed.Streams) != 1 {
		t.Fatal(fmt.Errorf("ffprobe: %w, %+v", err, probed))
	}
	if s := probed.Streams[0]; s.Width != width {
		t.Errorf("pictures are %d wide, %d were sent", s.Width, width)
	}
	pictures, _ = strconv.Atoi(probed.Streams[0].Packets)
	return pictures, seconds
}
