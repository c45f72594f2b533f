package e2e

import (
	"errors"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// ffplay shows a hundred pictures of the playlist.
//
// C48
func TestFFplay(t *testing.T) {
	parallel(t, others)
	c := startCloud(t, "")
	s := c.newStream()
	publish(t, s.Ingest["rtmp"])
	c.wantStatus(s.ID, "live")
	p := start(t, "ffplay", []string{"SDL_VIDEODRIVER=dummy", "SDL_AUDIODRIVER=dummy"},
		"ffplay", "-hide_banner", "-nostats", "-vf", "showinfo", s.Play["hls"])
	p.waitLine(`Parsed_showinfo.* n: *100 `, 0)
}

// VLC and GStreamer play what the server offers. GLIMPSE_LONG asks for them.
//
// C48
func TestDesktopPlayers(t *testing.T) {
	if !long {
		t.Skip("minutes, and players of some hundred megabytes: make test-long")
	}
	c := startCloud(t, "srt: {addr: \"127.0.0.1:0\"}\n")
	s := c.newStream()
	publish(t, s.Ingest["rtmp"])
	c.wantStatus(s.ID, "live")
	gstreamer := func(name, protocol, pictures string) {
		t.Run("GStreamer "+name, func(t *testing.T) {
			p := start(t, "gst-launch-1.0", nil, "gst-launch-1.0", "uridecodebin3", "uri="+s.Play[protocol],
				"!", "videoconvert", "!", "fakesink", "num-buffers="+pictures, "sync=false")
			p.waitLine(`Execution ended after`, 0) // at the last picture, by DASH once it has 30 s to play
			if p.tail(200); p.err != nil {
				t.Error(p.err)
			}
		})
	}
	// hlsdemux2 of GStreamer 1.22 asks for a list again after TARGETDURATION: in the
	// stream's first seconds it pauses for so long, and goes on.
	gstreamer("hls at once", "hls", "300")
	c.wantPast(s, 7)
	for _, protocol := range []string{"rtmp", "srt", "hls", "dash"} {
		gstreamer(protocol, protocol, "90")
	}
	for _, protocol := range []string{"hls", "dash", "rtmp"} { // Debian's VLC has no SRT in these packages
		t.Run("VLC "+protocol, func(t *testing.T) {
			_, dir := startVLC(t, "--no-audio", s.Play[protocol])
			eventuallyIn(t, "VLC shows 45 pictures", 2*patience, func() bool {
				shown, _ := filepath.Glob(filepath.Join(dir, "scene*.png"))
				return len(shown) >= 3
			})
		})
	}
}

// startVLC plays something without a screen; each 15th picture is kept in a folder.
func startVLC(t *testing.T, args ...string) (p *process, dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "glimpse-vlc-") // VLC refuses to run as root: anybody may write here
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // see above
		t.Fatal(err)
	}
	argv := []string{"cvlc", "--vout=dummy", "--video-filter=scene", "--scene-format=png", "--scene-ratio=15", "--scene-path=" + dir,
		"--aout=afile", "--audiofile-file=" + filepath.Join(dir, "sound.wav")}
	if syscall.Getuid() == 0 {
		argv = append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "HOME=" + dir}, argv...)
	}
	return start(t, "cvlc", nil, append(argv, args...)...), dir
}

// VLC plays a recording's file and a clip's from beginning to end, with picture and
// sound, from the disk and by their addresses. GLIMPSE_LONG asks for it.
//
// E41
func TestVLCPlaysFiles(t *testing.T) {
	if !long {
		t.Skip("a player of some hundred megabytes: make test-long")
	}
	c := startCloud(t, "")
	s := c.newStream()
	publish(t, s.Ingest["rtmp"])
	c.wantStatus(s.ID, "live")
	c.record("POST", s.ID)
	time.Sleep(9 * time.Second)
	var clip recording
	if code := c.api("POST", "/api/v1/streams/"+s.ID+"/clips", map[string]any{"last": 7.5}, &clip); code != http.StatusCreated {
		t.Fatal(code)
	}
	for kind, r := range map[string]recording{"recording": c.record("DELETE", s.ID), "clip": clip} {
		for way, from := range map[string]string{"file": r.download(t), "address": r.File} {
			t.Run(kind+" by "+way, func(t *testing.T) {
				if way == "file" { // where VLC's user can read it
					body, err := os.ReadFile(from)
					if err != nil {
						t.Fatal(err)
					}
					dir, err := os.MkdirTemp("/tmp", "glimpse-film-")
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { os.RemoveAll(dir) })
					from = filepath.Join(dir, "film.mp4")
					if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(from, body, 0o644)); err != nil { //nolint:gosec // see above
						t.Fatal(err)
					}
				}
				p, dir := startVLC(t, "--play-and-exit", from)
				select {
				case <-p.done:
				case <-time.After(2 * patience):
					t.Fatal("VLC does not come to the end")
				}
				shown, _ := filepath.Glob(filepath.Join(dir, "scene*.png"))
				if least := int(r.Duration*30/15) - 3; len(shown) < least {
					t.Errorf("VLC showed %d times 15 pictures of %v s, want %d", len(shown), r.Duration, least)
				}
				sound := filepath.Join(dir, "sound.wav")
				// At the end VLC throws away what it had decoded ahead.
				if seconds, volume := heard(t, sound); math.Abs(seconds-r.Duration) > 1 || volume < -60 {
					t.Errorf("VLC played %v s of sound of %v dB, of %v s", seconds, volume, r.Duration)
				}
			})
		}
	}
}

// heard is how long a file of sound is and how loud.
func heard(t *testing.T, path string) (seconds, volume float64) {
	t.Helper()
	out, err := readWithFFmpeg(t, "-i", path, "-af", "volumedetect", "-f", "null", "-")
	m, size := meanVolume.FindSubmatch(out), int64(0)
	if info, e := os.Stat(path); e == nil {
		size = info.Size()
	}
	if err != nil || m == nil {
		t.Fatalf("%d bytes of sound: %v\n%s", size, err, out)
	}
	volume, _ = strconv.ParseFloat(string(m[1]), 64)
	return float64(size) / 48000 / 2 / 2, volume
}
