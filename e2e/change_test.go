package e2e

import (
	"bytes"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// twoSizes makes a clip of some seconds with 640 pixels, then a minute with 480, whose
// times begin anew, and returns what ffmpeg reads it by. gop is in pictures, 30 a second.
func twoSizes(t *testing.T, seconds, gop int) string {
	t.Helper()
	dir := t.TempDir()
	files := []string{filepath.Join(dir, "one.ts"), filepath.Join(dir, "two.ts")}
	for i, size := range []string{"640x360", "480x270"} {
		runCommand(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=rate=30:size="+size, "-f", "lavfi", "-i", "sine=sample_rate=48000",
			"-t", strconv.Itoa([]int{seconds, 60}[i]), "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", strconv.Itoa(gop), "-sc_threshold", "0",
			"-c:a", "aac", "-ac", "2", files[i])
	}
	return "concat:" + strings.Join(files, "|")
}

// FAULTS F5: another size in the middle of a connection, with times that begin anew, is a
// new init behind one discontinuity in both playlists; hls.js and dash.js go on by
// themselves, and so does who comes later.
func TestParametersChange(t *testing.T) {
	parallel(t, browsers)
	sizes := twoSizes(t, 14, 60)
	c := startCloud(t, "srt: {addr: \"127.0.0.1:0\"}\n")
	s := c.newStream()
	start(t, "ffmpeg publisher", nil, "ffmpeg", "-hide_banner", "-loglevel", "error", "-re", "-i", sizes, "-c", "copy", "-f", "mpegts", s.Ingest["srt"])
	c.wantStatus(s.ID, "live")
	b := startBrowser(t)
	b.do(nil, "open", "hls", strings.TrimSuffix(s.Play["page"], "/")+"?protocol=hls")
	b.do(nil, "open", "dash", serveDash(t, s.Play["dash"]))
	width := func(page, want string) {
		t.Helper()
		eventuallyIn(t, page+" shows pictures of "+want+" pixels", 2*patience, func() bool {
			var ok bool
			return b.try(&ok, "eval", page, "(() => { const v = document.querySelector('video'); return v.currentTime > 1 && v.videoWidth === "+want+"; })()") == "" && ok
		})
	}
	width("hls", "640")
	width("dash", "640")
	width("hls", "480")
	width("dash", "480")
	b.wantPlaying("hls")
	b.wantPlaying("dash")
	base := strings.TrimSuffix(s.Play["hls"], "index.m3u8")
	for name, maps := range map[string]int{"video.m3u8": 2, "audio.m3u8": 1} {
		code, _, list := get(t, base+name)
		breaks := bytes.Count(list, []byte("#EXT-X-DISCONTINUITY\n"))
		if code != http.StatusOK || bytes.Count(list, []byte("#EXT-X-MAP:")) != maps || breaks != 1 {
			t.Errorf("%s: %d, %d discontinuities\n%s", name, code, breaks, list)
		}
	}
	wantMoving(t, s.Play["hls"])
}
