package srt

import (
	"errors"
	"testing"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/serve/servetest"
	"glimpse/internal/media/srt/live"
)

// What a client pushes to another server arrives there whole: pictures, sound and
// parameters.
func TestPush(t *testing.T) {
	t.Parallel()
	from, to := newRig(t, Config{}), newRig(t, Config{})
	source, copied := from.Open("a", 0), to.Open("b", 0)
	publisher := servetest.StartFFmpeg(t, publishing(from.url("publish:a-key"), 3)...)
	run, err := source.WaitRun(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := Dial(t.Context(), to.url("#!::r=b-key,m=publish"), Options{Tracks: run.Tracks()})
	if err != nil {
		t.Fatal(err)
	}
	rd := run.Subscribe(hub.ReaderOptions{})
	defer rd.Close()
	sent := map[frame.Kind]int{}
	for frames, err := rd.Next(t.Context(), nil); err == nil; frames, err = rd.Next(t.Context(), frames) {
		for _, f := range frames {
			if err := c.WriteFrame(f); err != nil {
				t.Fatal(err)
			}
			sent[f.Track.Kind()]++
		}
	}
	if _, errs, ok := publisher.Wait(); !ok {
		t.Error(errs)
	}
	arrived, err := copied.WaitRun(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	servetest.Until(t, "the end", func() bool { return copied.State() == hub.StateEnded })
	if n := int(copied.Stats().Frames); sent[frame.Video] < 80 || n < sent[frame.Video]-8 {
		t.Errorf("%d of %v pictures arrived", n, sent)
	}
	if got, want := arrived.Tracks(), run.Tracks(); len(got) != 2 || got[0].Codec.MIME() != want[0].Codec.MIME() || got[1].Codec.MIME() != want[1].Codec.MIME() {
		t.Errorf("tracks %v", got)
	}
	if err := c.WriteFrame(arrived.KeyFrame()); err == nil {
		t.Error("a closed client writes")
	}
}

func TestPushRefused(t *testing.T) {
	r := newRig(t, Config{})
	r.Open("a", 0)
	_, err := Dial(t.Context(), r.url("publish:b-key"), Options{})
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Reason != live.Unauthorized {
		t.Errorf("%v, want code 1401", err)
	}
}

func TestPushAddress(t *testing.T) {
	for _, bad := range []string{"", "rtmp://h:1/a", "srt://", "srt://host", "srt://:4201", "srt://h:1?passphrase=short"} {
		if _, _, err := parseTarget(bad); !errors.Is(err, ErrAddress) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for raw, want := range map[string]string{
		"srt://192.168.1.100:4201?streamid=my-stream":           "my-stream",
		"srt://h:1/?mode=caller&streamid=#!::r=a,m=publish&x=y": "#!::r=a,m=publish",
		"srt://[::1]:1?streamid=%23!::r=a":                      "#!::r=a",
	} {
		if _, cfg, err := parseTarget(raw); err != nil || cfg.StreamID != want {
			t.Errorf("%q: stream id %q, %v", raw, cfg.StreamID, err)
		}
	}
}
