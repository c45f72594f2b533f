package rtmp

import (
	"strings"
	"testing"

	"glimpse/internal/media/hub"
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
			scheme, cfg := "rtmp:", Config{}
			if name == "rtmps" {
				scheme, cfg.TLS = "rtmps:", serverTLS(t)
			}
			r := newRig(t, cfg)
			s := r.open("one", 0)
			url := func(name string) string { return strings.Replace(r.url(name), "rtmp:", scheme, 1) }
			player := startFFmpeg(t, "-copyts", "-i", url("one-play"), "-map", "0", "-c", "copy", "-f", "framecrc", "pipe:1")
			until(t, "the player", func() bool { return s.Stats().Viewers["rtmp"] == 1 })
			_, stderr, ok := startFFmpeg(t, publishArgs(url("one-key"), 3, extra...)...).wait()
			if !ok || stderr != "" {
				t.Fatalf("publisher: %s", stderr)
			}
			out, stderr, ok := player.wait()
			if !ok || stderr != "" {
				t.Errorf("player: %s", stderr)
			}
			if n := len(crcLines(out, 0)); n != 90 {
				t.Errorf("%d pictures played; 90 were published\n%s", n, r.logs)
			}
			if n := len(crcLines(out, 1)); n < 140 || n > 143 {
				t.Errorf("%d sound frames played; about 141 were published", n)
			}
			if first := crcLines(out, 0)[0]; !strings.HasPrefix(strings.ReplaceAll(first, " ", ""), "0,0,") {
				t.Errorf("first picture is not at 0: %s", first)
			}
			if s.State() != hub.StateEnded {
				t.Errorf("stream is %v", s.State())
			}
		})
	}
}
