package e2e

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
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
	// By HLS when the stream has some past: hlsdemux2 of GStreamer 1.22 asks for a
	// list again after TARGETDURATION, and may abort by its own assertion
	// (current_stream_time >= 0), when it joins in the first seconds.
	eventually(t, "the stream has some past: seven segments of each track", func() bool {
		code, _, body := get(t, strings.Replace(s.Play["dash"], "index.mpd", "public.mpd", 1))
		return code == http.StatusOK && bytes.Count(body, []byte("<S ")) >= 14
	})
	for _, protocol := range []string{"rtmp", "srt", "hls", "dash"} {
		t.Run("GStreamer "+protocol, func(t *testing.T) {
			p := start(t, "gst-launch-1.0", nil, "gst-launch-1.0", "uridecodebin3", "uri="+s.Play[protocol],
				"!", "videoconvert", "!", "fakesink", "num-buffers=90", "sync=false")
			p.waitLine(`Execution ended after`, 0) // at the ninetieth picture, once it has 30 s to play
			if p.tail(200); p.err != nil {
				t.Error(p.err)
			}
		})
	}
	for _, protocol := range []string{"hls", "dash", "rtmp"} { // Debian's VLC has no SRT in these packages
		t.Run("VLC "+protocol, func(t *testing.T) {
			dir, err := os.MkdirTemp("/tmp", "glimpse-vlc-") // VLC refuses to run as root: anybody may write here
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // see above
				t.Fatal(err)
			}
			argv := []string{"cvlc", "--no-audio", "--vout=dummy", "--video-filter=scene", "--scene-format=png", "--scene-ratio=15",
				"--scene-path=" + dir, s.Play[protocol]}
			if syscall.Getuid() == 0 {
				argv = append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "HOME=" + dir}, argv...)
			}
			start(t, "cvlc", nil, argv...)
			eventuallyIn(t, "VLC shows 45 pictures", 2*patience, func() bool {
				shown, _ := filepath.Glob(filepath.Join(dir, "scene*.png"))
				return len(shown) >= 3
			})
		})
	}
}
