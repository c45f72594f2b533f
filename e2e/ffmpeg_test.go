package e2e

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// runCommand runs a program to its end and returns its standard output.
func runCommand(t *testing.T, argv ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, stderr.String())
	}
	return string(out)
}

// reordered makes an encoder use B-frames as OBS and x264 do by default, of which
// one refers to another: pictures come up to two later than they are shown.
var reordered = []string{"-b_strategy", "0", "-bf", "3", "-b-pyramid", "normal", "-refs", "3", "-profile:v", "main"}

// publish feeds a test picture and a tone to an RTMP URL until the test ends, with
// more options of ffmpeg's output if wanted.
func publish(t *testing.T, url string, more ...string) *process {
	t.Helper()
	return publishTo(t, "flv", url, more...)
}

// publishTo does it in a format that the URL's protocol carries.
func publishTo(t *testing.T, format, url string, more ...string) *process {
	t.Helper()
	if len(more) == 0 {
		return publishFile(t, pattern, format, url)
	}
	argv := append([]string{"ffmpeg", "-hide_banner", "-loglevel", "warning", "-re"}, patternEncoded(more...)...)
	return start(t, "ffmpeg publisher", nil, append(argv, "-f", format, url)...)
}

// publishNoise sends 2 Mbit/s that cannot be made smaller.
func publishNoise(t *testing.T, url string) *process {
	t.Helper()
	return publishFile(t, noise, "flv", url)
}

// publishFile sends what was encoded before, again and again.
func publishFile(t *testing.T, encoded func() (string, error), format, url string) *process {
	t.Helper()
	path, err := encoded()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, "ffmpeg publisher", nil, "ffmpeg", "-hide_banner", "-loglevel", "warning", "-re",
		"-stream_loop", "-1", "-i", path, "-c", "copy", "-f", format, url)
}

// patternEncoded are ffmpeg's arguments for the test picture and the tone.
func patternEncoded(more ...string) []string {
	return append([]string{"-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-bf", "0", "-g", "60", "-b:v", "800k",
		"-c:a", "aac", "-ac", "2", "-b:a", "96k"}, more...)
}

// pattern is a file with 100 s of them, encoded once for all tests: an eighth of a
// processor each is what encoding costs. noise is one with 60 s of noise besides.
var (
	pattern = encodedOnce("pattern.mkv", "-t", "100")
	noise   = encodedOnce("noise.mkv", "-t", "60", "-vf", "noise=alls=40:allf=t", "-b:v", "2M", "-minrate", "2M", "-maxrate", "2M", "-bufsize", "1M")
)

// encodedOnce makes a file of the test picture and the tone when it is first asked for.
func encodedOnce(name string, more ...string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		path := filepath.Join(scratch, name)
		argv := append([]string{"-loglevel", "error"}, append(patternEncoded(more...), path)...)
		if out, err := exec.Command("ffmpeg", argv...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("ffmpeg: %w\n%s", err, out)
		}
		return path, nil
	})
}

// readWithFFmpeg runs ffmpeg to its end and returns all that it said.
func readWithFFmpeg(t *testing.T, args ...string) ([]byte, error) {
	t.Helper()
	return exec.Command("ffmpeg", append([]string{"-hide_banner", "-nostdin"}, args...)...).CombinedOutput()
}

var (
	frameCount = regexp.MustCompile(`frame=\s*(\d+)`)
	meanVolume = regexp.MustCompile(`mean_volume: (-?[\d.]+) dB`)
)

// watch decodes some seconds of a URL with ffmpeg and returns how many pictures
// came and how loud the sound is (dB; -91 is silence).
func watch(t *testing.T, url string, seconds int) (pictures int, volume float64) {
	t.Helper()
	out, err := readWithFFmpeg(t, "-loglevel", "info", "-stats", "-rw_timeout", "20000000",
		"-i", url, "-t", strconv.Itoa(seconds), "-map", "0:v:0", "-map", "0:a:0", "-af", "volumedetect", "-f", "null", "-")
	if err != nil {
		t.Fatalf("ffmpeg cannot read %s: %v\n%s", url, err, out)
	}
	for _, m := range frameCount.FindAllSubmatch(out, -1) {
		pictures, _ = strconv.Atoi(string(m[1]))
	}
	m := meanVolume.FindSubmatch(out)
	if m == nil {
		t.Fatalf("ffmpeg heard nothing from %s:\n%s", url, out)
	}
	volume, _ = strconv.ParseFloat(string(m[1]), 64)
	return pictures, volume
}

// wantMoving fails unless a URL gives most of the pictures and real sound. A
// stream that has just begun starts with up to 2 s of a still in HLS.
func wantMoving(t *testing.T, url string) {
	t.Helper()
	const seconds, still = 5, 2
	pictures, volume := watch(t, url, seconds)
	if pictures < (seconds-still)*30*8/10 {
		t.Errorf("%d pictures in %d s of %s", pictures, seconds, url)
	}
	if volume < -60 {
		t.Errorf("silence (%.0f dB) at %s", volume, url)
	}
}

// lastFrame is the newest count of `ffmpeg -progress`.
func (p *process) lastFrame() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.lines) - 1; i >= 0; i-- {
		if n, ok := strings.CutPrefix(p.lines[i], "frame="); ok {
			count, _ := strconv.Atoi(n)
			return count
		}
	}
	return 0
}
