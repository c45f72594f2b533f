package e2e

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

var (
	flashes = regexp.MustCompile(`black_end:([\d.]+)`)
	beeps   = regexp.MustCompile(`silence_end: ([\d.]+)`)
)

// publishFlashes feeds a flash and a beep at each full second to an RTMP URL,
// with so many B-frames in a row as x264 is allowed.
func publishFlashes(t *testing.T, url, bframes string) *process {
	t.Helper()
	return start(t, "ffmpeg publisher", nil, "ffmpeg", "-hide_banner", "-loglevel", "warning", "-re",
		"-f", "lavfi", "-i", "color=c=black:size=320x180:rate=30,drawbox=c=white:t=fill:enable='lt(mod(t+0.001,1),0.2)'",
		"-f", "lavfi", "-i", "aevalsrc='0.5*sin(2*PI*1000*t)*lt(mod(t,1),0.2)':sample_rate=48000",
		"-c:v", "libx264", "-preset", "veryfast", "-b_strategy", "0", "-bf", bframes, "-pix_fmt", "yuv420p", "-g", "60", "-sc_threshold", "0",
		"-c:a", "aac", "-b:a", "96k", "-f", "flv", url)
}

// lag decodes a URL and returns how much later the flashes are than the beeps,
// in milliseconds (median), on the time line of ffmpeg's demuxer.
func lag(t *testing.T, url string) float64 {
	t.Helper()
	out, err := readWithFFmpeg(t, "-nostats", "-rw_timeout", "20000000", "-i", url, "-t", "7",
		"-vf", "blackdetect=d=0.3:pix_th=0.5", "-af", "silencedetect=noise=-30dB:d=0.3", "-f", "null", "-")
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
// are heard, in milliseconds (median).
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
		b.t.Fatalf("%s: few flashes with a beep: %+v", page, seen)
	}
	slices.Sort(lags)
	return lags[len(lags)/2]
}

// Sound and picture meet within 40 ms where the demuxer reads composition
// offsets strictly, with B-frames as without.
func TestSoundMeetsPicture(t *testing.T) {
	t.Parallel()
	c := startCloud(t, "")
	for _, bframes := range []string{"0", "3"} {
		t.Run(bframes+" B-frames", func(t *testing.T) {
			t.Parallel()
			s := c.newStream()
			publishFlashes(t, s.Ingest["rtmp"], bframes)
			eventually(t, "the playlist is there", func() bool {
				code, _, _ := get(t, s.Play["hls"])
				return code == 200
			})
			if ms := lag(t, s.Play["hls"]); math.Abs(ms) > 40 {
				t.Errorf("pictures are %.0f ms behind the sound", ms)
			} else {
				t.Logf("pictures are %.0f ms behind the sound", ms)
			}
		})
	}
}
