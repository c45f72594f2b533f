package rtmp

import (
	"strings"
	"testing"

	"glimpse/internal/media/hub"
	"glimpse/internal/media/serve/servetest"
)

// A6 E4
// ffmpeg publishes, ffmpeg plays: every picture and sound frame that went in
// comes out. The player is there first.
func TestFFmpegPublishAndPlay(t *testing.T) {
	t.Parallel()
	for name, extra := range map[string][]string{
		"plain":    {"-bf", "0"},
		"b-frames": {"-tune", "film", "-preset", "veryfast", "-bf", "2"},
		"rtmps":    {"-bf", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var cfg Config
			if name == "rtmps" {
				cfg.TLS = serverTLS(t)
			}
			r := newRig(t, cfg)
			s := r.Open("one", 0)
			player := servetest.StartFFmpeg(t, "-copyts", "-i", r.url("one-play"), "-map", "0", "-c", "copy", "-f", "framecrc", "pipe:1")
			servetest.Until(t, "the player", func() bool { return s.Stats().Viewers[r.server.protocol()] == 1 })
			_, stderr, ok := servetest.StartFFmpeg(t, publishing(r.url("one-key"), 3, extra...)...).Wait()
			if !ok || stderr != "" {
				t.Fatalf("publisher: %s", stderr)
			}
			out, stderr, ok := player.Wait()
			if !ok || stderr != "" {
				t.Errorf("player: %s", stderr)
			}
			if n := len(servetest.Packets(out, 0)); n != 90 {
				t.Errorf("%d pictures played; 90 were published\n%s", n, r.Logs)
			}
			if n := len(servetest.Packets(out, 1)); n < 140 || n > 143 {
				t.Errorf("%d sound frames played; about 141 were published", n)
			}
			if first := servetest.Packets(out, 0)[0]; !strings.HasPrefix(strings.ReplaceAll(first, " ", ""), "0,0,") {
				t.Errorf("first picture is not at 0: %s", first)
			}
			if s.State() != hub.StateEnded {
				t.Errorf("stream is %v", s.State())
			}
		})
	}
}
