package srt

import (
	"strings"
	"testing"
	"time"

	"glimpse/internal/media/hub"
	"glimpse/internal/media/serve/servetest"
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
			s := r.Open("a", 0)
			player := servetest.StartFFmpeg(t, "-i", r.url(form.read), "-map", "0:v", "-map", "0:a", "-c", "copy", "-f", "framecrc", "-")
			servetest.Until(t, "the reader", func() bool { return s.Stats().Viewers["srt"] == 1 })
			publisher := servetest.StartFFmpeg(t, publishing(r.url(form.publish), 4, form.extra...)...)
			if _, errs, ok := publisher.Wait(); !ok {
				t.Fatalf("publisher: %s", errs)
			}
			servetest.Until(t, "the end", func() bool { return s.State() == hub.StateEnded })
			out, errs, ok := player.Wait()
			if !ok {
				t.Fatalf("reader: %s", errs)
			}
			// libsrt does not deliver its last 120 ms when the sender closes.
			if pictures := len(servetest.Packets(out, 0)); pictures < 105 || pictures > 120 {
				t.Errorf("%d pictures of 120 (%s)", pictures, errs)
			}
			if sound := len(servetest.Packets(out, 1)); sound < 160 {
				t.Errorf("%d sound frames of 188 (%s)", sound, errs)
			}
			if n := r.server.Stats().Accepted; n < 2 || strings.Contains(r.Logs.String(), "a-key") || strings.Contains(r.Logs.String(), "a-play") {
				t.Errorf("%d accepted; the logs must not hold keys:\n%s", n, r.Logs)
			}
		})
	}
}

func TestFFmpegRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	r.Open("a", time.Minute)
	for what, id := range map[string]string{
		"unknown key": "publish:b-key", "unknown playback id": "read:b-play", "playback id as key": "publish:a-play",
		"key as playback id": "read:a-key", "malformed": "watch:a-play",
	} {
		c := servetest.StartFFmpeg(t, publishing(r.url(id), 2)...)
		if strings.HasPrefix(id, "read") {
			c.Kill()
			c = servetest.StartFFmpeg(t, "-i", r.url(id), "-f", "null", "-")
		}
		if _, errs, ok := c.Wait(); ok {
			t.Errorf("%s was let in: %s", what, errs)
		}
	}
	if n := r.server.Stats(); r.server.Held() != 0 || n.Refused < 5 {
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
		r.Open("a", 0)
		if _, _, ok := servetest.StartFFmpeg(t, publishing(r.url("publish:a-key"), 8, args...)...).Wait(); ok {
			t.Error("the publisher did not notice")
		}
		if !strings.Contains(r.Logs.String(), want) {
			t.Errorf("no %q in the logs", want)
		}
	}
}

// H.265 goes in and comes out as it was; its sound is Opus on the way in.
func TestFFmpegH265(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	s := r.Open("a", 0)
	player := servetest.StartFFmpeg(t, "-i", r.url("read:a-play"), "-map", "0:v", "-c", "copy", "-bsf:v", "hevc_mp4toannexb", "-f", "framecrc", "-")
	servetest.Until(t, "the reader", func() bool { return s.Stats().Viewers["srt"] == 1 })
	publisher := servetest.StartFFmpeg(t, publishing(r.url("publish:a-key"), 4, "-s", "320x180", "-c:v", "libx265", "-x265-params", "log-level=none:bframes=0", "-c:a", "libopus")...)
	var codecs []string
	servetest.Until(t, "both tracks", func() bool {
		codecs = nil
		for _, track := range s.Stats().Tracks {
			codecs = append(codecs, track.Codec.Name())
		}
		return len(codecs) == 2
	})
	if codecs[0] != "H.265" || codecs[1] != "Opus" {
		t.Errorf("tracks %v", codecs)
	}
	if _, errs, ok := publisher.Wait(); !ok {
		t.Fatalf("publisher: %s", errs)
	}
	out, errs, ok := player.Wait()
	if n := len(servetest.Packets(out, 0)); !ok || n < 100 {
		t.Errorf("%d pictures of 120: %s", n, errs)
	}
}
