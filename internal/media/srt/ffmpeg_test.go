package srt

import (
	"strings"
	"testing"
	"time"

	"glimpse/internal/media/hub"
)

// D1
// ffmpeg publishes, ffmpeg plays, each with libsrt: pictures and sound that went
// in come out. The reader is there first.
func TestFFmpegPublishAndPlay(t *testing.T) {
	t.Parallel()
	for name, form := range map[string]struct {
		publish, read string
		extra         []string
	}{
		"short":    {"publish:a-key", "read:a-play", []string{"-bf", "0"}},
		"standard": {"#!::r=a-key,m=publish", "#!::r=a-play,m=request", []string{"-bf", "0"}},
		"bare":     {"a-key", "read:a-play", []string{"-tune", "film", "-bf", "2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Config{})
			s := r.open("a", 0)
			player := startFFmpeg(t, "-i", r.url(form.read), "-map", "0:v", "-map", "0:a", "-c", "copy", "-f", "framecrc", "-")
			until(t, "the reader", func() bool { return s.Stats().Viewers["srt"] == 1 })
			publisher := startFFmpeg(t, publishArgs(r.url(form.publish), 4, form.extra...)...)
			if _, errs, ok := publisher.wait(); !ok {
				t.Fatalf("publisher: %s", errs)
			}
			until(t, "the end", func() bool { return s.State() == hub.StateEnded })
			out, errs, ok := player.wait()
			if !ok {
				t.Fatalf("reader: %s", errs)
			}
			// libsrt does not deliver its last 120 ms when the sender closes.
			if pictures := len(crcLines(out, 0)); pictures < 105 || pictures > 120 {
				t.Errorf("%d pictures of 120 (%s)", pictures, errs)
			}
			if sound := len(crcLines(out, 1)); sound < 160 {
				t.Errorf("%d sound frames of 188 (%s)", sound, errs)
			}
			if n := r.server.Stats().Accepted; n < 2 || strings.Contains(r.logs.String(), "a-key") || strings.Contains(r.logs.String(), "a-play") {
				t.Errorf("%d accepted; the logs must not hold keys:\n%s", n, r.logs)
			}
		})
	}
}

func TestFFmpegRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	r.open("a", time.Minute)
	for what, id := range map[string]string{
		"unknown key": "publish:b-key", "unknown playback id": "read:b-play", "playback id as key": "publish:a-play",
		"key as playback id": "read:a-key", "malformed": "watch:a-play",
	} {
		c := startFFmpeg(t, publishArgs(r.url(id), 2)...)
		if strings.HasPrefix(id, "read") {
			c.kill()
			c = startFFmpeg(t, "-i", r.url(id), "-f", "null", "-")
		}
		if _, errs, ok := c.wait(); ok {
			t.Errorf("%s was let in: %s", what, errs)
		}
	}
	if n := r.server.Stats(); n.Accepted != 0 || n.Refused < 5 {
		t.Errorf("%+v, want five refusals", n)
	}
}

// Another codec is refused with its name in the log, and the publisher is cut off.
func TestFFmpegOtherCodecs(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"video codec MPEG-2 is not supported here": {"-c:v", "mpeg2video", "-bf", "0"},
		"audio codec AC-3 is not supported here":   {"-c:a", "ac3"},
	} {
		r := newRig(t, Config{})
		r.open("a", 0)
		if _, _, ok := startFFmpeg(t, publishArgs(r.url("publish:a-key"), 8, args...)...).wait(); ok {
			t.Error("the publisher did not notice")
		}
		if !strings.Contains(r.logs.String(), want) {
			t.Errorf("no %q in the logs", want)
		}
	}
}
