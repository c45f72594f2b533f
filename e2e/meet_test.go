package e2e

import (
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	rtmpcodecs "github.com/bluenviron/gortmplib/pkg/codecs"
)

var (
	flashes = regexp.MustCompile(`black_end:([\d.]+)`)
	beeps   = regexp.MustCompile(`silence_end: ([\d.]+)`)
)

// A flash and a beep begin together at each full second.
const (
	flashing = "color=c=black:size=320x180:rate=30,drawbox=c=white:t=fill:enable='lt(mod(t+0.001,1),0.2)'"
	beeping  = "aevalsrc='0.5*sin(2*PI*1000*t)*lt(mod(t,1),0.2)':sample_rate=48000"
)

// publishFlashes feeds flashes and beeps to an RTMP URL, with so many B-frames in
// a row as x264 is allowed, and AAC.
func publishFlashes(t *testing.T, url, bframes string) *process {
	t.Helper()
	return publishFlashesTo(t, "flv", url, "-b_strategy", "0", "-bf", bframes)
}

// publishFlashesTo does it in a format that the URL's protocol carries, with more
// options of ffmpeg's output.
func publishFlashesTo(t *testing.T, format, url string, more ...string) *process {
	t.Helper()
	argv := []string{"ffmpeg", "-hide_banner", "-loglevel", "warning", "-re",
		"-f", "lavfi", "-i", flashing, "-f", "lavfi", "-i", beeping,
		"-c:v", "libx264", "-preset", "superfast", "-bf", "0", "-pix_fmt", "yuv420p", "-g", "60", "-sc_threshold", "0",
		"-c:a", "aac", "-b:a", "96k"}
	argv = append(argv, more...)
	return start(t, "ffmpeg publisher", nil, append(argv, "-f", format, url)...)
}

// publishOpusFlashes does it with Opus, by enhanced RTMP.
func publishOpusFlashes(t *testing.T, url string) {
	t.Helper()
	encodeOpus(t, beeping).publish(t, url)
}

// encodeOpus makes a clip of flashes, in H.264, and of what is heard, in Opus.
func encodeOpus(t *testing.T, heard string) *enhanced {
	t.Helper()
	dir := t.TempDir()
	picture, sound := filepath.Join(dir, "picture.ts"), filepath.Join(dir, "sound.ts")
	runCommand(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", flashing, "-t", "4",
		"-c:v", "libx264", "-preset", "superfast", "-bf", "0", "-pix_fmt", "yuv420p", "-g", "60", "-sc_threshold", "0", picture)
	runCommand(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", heard, "-t", "4", "-c:a", "libopus", "-ac", "2", "-b:a", "64k", sound)
	e := &enhanced{length: enhancedLength, video: &rtmpcodecs.H264{}}
	e.readTS(t, picture)
	e.readTS(t, sound)
	// The encoder's delay makes one packet more than the clip is long.
	e.units = slices.DeleteFunc(e.units, func(u enhancedUnit) bool { return u.sound && u.pts >= e.length })
	return e
}

// lag decodes a URL and returns how much later the flashes are than the beeps,
// in milliseconds (median), on the time line of ffmpeg's demuxer.
func lag(t *testing.T, url string) float64 {
	t.Helper()
	return lagOf(t, "-rw_timeout", "20000000", "-i", url)
}

// lagOf does it with ffmpeg's own words for the input.
func lagOf(t *testing.T, url ...string) float64 {
	t.Helper()
	out, err := readWithFFmpeg(t, slices.Concat([]string{"-nostats"}, url, []string{"-t", "7",
		"-vf", "blackdetect=d=0.3:pix_th=0.5", "-af", "silencedetect=noise=-30dB:d=0.3", "-f", "null", "-"})...)
	if err != nil {
		t.Fatalf("ffmpeg cannot read %s: %v\n%s", url, err, out)
	}
	times := func(re *regexp.Regexp) (list []float64) {
		for _, m := range re.FindAllSubmatch(out, -1) {
			at, _ := strconv.ParseFloat(string(m[1]), 64)
			list = append(list, at*1000)
		}
		return list
	}
	var lags []float64
	for _, flash := range times(flashes) {
		for _, beep := range times(beeps) {
			if math.Abs(flash-beep) < 400 {
				lags = append(lags, flash-beep)
			}
		}
	}
	if len(lags) < 2 {
		t.Fatalf("%d flashes with a beep:\n%s", len(lags), out)
	}
	slices.Sort(lags)
	return lags[len(lags)/2]
}

// meeting measures in a page how much later flashes are shown than their beeps
// are heard, in milliseconds (median): far too much when hardly any can be told to be
// of the same moment.
func (b *browser) meeting(page string) float64 {
	b.t.Helper()
	var seen struct {
		Flashes, Beeps, Latency []float64
		Playout                 [][]float64
	}
	b.do(&seen, "meet", page, 8)
	var lags []float64
	for _, flash := range seen.Flashes {
		for _, beep := range seen.Beeps {
			if math.Abs(flash-beep) < 400 {
				lags = append(lags, flash-beep)
			}
		}
	}
	b.t.Logf("%s: %.0f %v %v", page, lags, seen.Latency, seen.Playout)
	if len(lags) < 3 {
		b.t.Logf("%s: few flashes with a beep: %+v", page, seen)
		return math.Inf(1)
	}
	slices.Sort(lags)
	return lags[len(lags)/2]
}

// inPage is how far pictures and sound may be apart in a page: what the page's
// way of listening and a busy machine add is more than what is measured.
const inPage = 150

// Sound and picture meet within 40 ms in every output as a strict demuxer reads
// it, whether the source sends AAC, with B-frames or without, or Opus; and where
// they come out of players. GLIMPSE_LONG adds those of the plainest stream.
func TestSoundMeetsPicture(t *testing.T) {
	parallel(t, nil)
	c := startCloud(t, withSRT)
	for name, feed := range map[string]func(t *testing.T, url string){
		"AAC":               func(t *testing.T, url string) { publishFlashes(t, url, "0") },
		"AAC with B-frames": func(t *testing.T, url string) { publishFlashes(t, url, "3") },
		"Opus":              publishOpusFlashes,
	} {
		t.Run(name, func(t *testing.T) {
			parallel(t, browsers)
			s := c.newStream()
			feed(t, s.Ingest["rtmp"])
			eventually(t, "the playlist is there", func() bool {
				code, _, _ := get(t, s.Play["hls"])
				return code == 200
			})
			together(t, []string{"hls", "dash", "rtmp", "srt"}, func(t *testing.T, output string) {
				ms := lag(t, s.Play[output])
				t.Logf("pictures are %.0f ms behind the sound", ms)
				if math.Abs(ms) > 40 {
					t.Errorf("pictures are %.0f ms behind the sound", ms)
				}
			})
			if !long && name == "AAC" {
				return // players hear the same as the demuxers
			}
			b := startBrowser(t)
			for _, page := range []string{"webrtc", "hls", "dash"} { // one after the other: three at once want more than a processor
				if page == "dash" {
					b.do(nil, "open", page, serveDash(t, s.Play["dash"]))
					eventually(t, "dash.js shows a picture", func() bool {
						var ok bool
						return b.try(&ok, "eval", page, "seen.first > 0") == "" && ok
					})
				} else {
					b.do(nil, "open", page, s.Play["page"]+"?protocol="+page)
					b.waitPlayer(page, "glimpse.state === 'live' && glimpse.protocol === '"+page+"'")
					b.do(nil, "click", page, "text=/sound on/i")
					b.wantPlaying(page)
				}
				ms := b.meeting(page)
				for range 3 { // Chromium brings the two of WebRTC together over many seconds
					if math.Abs(ms) > inPage {
						ms = b.meeting(page)
					}
				}
				if math.Abs(ms) > inPage {
					t.Errorf("%s in a page: pictures are %.0f ms behind the sound", page, ms)
				}
				b.do(nil, "close", page)
			}
		})
	}
}

// FAULTS F6: an encoder that sends sound alone is live within 3 s, and every output plays
// it, with a black picture.
func TestSoundAlone(t *testing.T) {
	parallel(t, browsers)
	c := startCloud(t, withSRT)
	s := c.newStream()
	start(t, "ffmpeg publisher", nil, "ffmpeg", "-hide_banner", "-loglevel", "warning", "-re",
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100", "-c:a", "aac", "-ac", "2", "-b:a", "96k", "-f", "flv", s.Ingest["rtmp"])
	c.wantStatus(s.ID, "live")
	together(t, []string{"hls", "dash", "rtmp", "srt"}, func(t *testing.T, output string) {
		if pictures, volume := watch(t, s.Play[output], 5); pictures < 10 || volume < -60 {
			t.Errorf("%d pictures, %.0f dB", pictures, volume)
		}
	})
	b := startBrowser(t)
	for _, protocol := range []string{"webrtc", "hls"} {
		b.do(nil, "open", protocol, s.Play["page"]+"?protocol="+protocol)
		b.waitPlayer(protocol, "glimpse.state === 'live' && glimpse.protocol === '"+protocol+"'")
		b.do(nil, "click", protocol, "text=/sound on/i")
		eventually(t, protocol+" is heard", func() bool {
			var seen struct{ RMS float64 }
			return b.try(&seen, "play", protocol, 2) == "" && seen.RMS > 0.01
		})
	}
}
