package srt

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

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
	for _, bad := range []string{"", "rtmp://h:1/a", "srt://", "srt://host", "srt://:4201", "srt://h:1?passphrase=short",
		"srt://h:/", "srt://0://", "srt://h:65536", "srt://h:1?pbkeylen=17", "srt://h:1?latency=60000001", "srt://h:1?latency=18446744073709552"} {
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

// What an address asks for is within the protocol's bounds, and it leads to the
// same place when it is put together again.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"srt://h:1?streamid=#!::r=KEY,m=publish&passphrase=correct%20horse&latency=200000&pbkeylen=32", "srt://[::1]:9000/",
		"srt://h:1?latency=-1", "srt://h:1?latency=99999999999999999999", "srt://h:1?streamid=%zz&&=", "srt://:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		address, o, err := parseTarget(raw)
		if err != nil {
			if !errors.Is(err, ErrAddress) {
				t.Errorf("%q: %v", raw, err)
			}
			return
		}
		host, port, err := net.SplitHostPort(address)
		if err != nil || host == "" || port == "" {
			t.Fatalf("%q: %q, %v", raw, address, err)
		}
		if n := len(o.Passphrase); len(o.StreamID) > 512 || o.Latency < 0 || o.Latency > time.Minute || o.KeyLength%8 != 0 || n > 0 && (n < live.MinPassphrase || n > live.MaxPassphrase) {
			t.Errorf("%q: %+v", raw, o)
		}
		escape := func(s string) string { return strings.ReplaceAll(url.PathEscape(s), "&", "%26") }
		same, settings, err := parseTarget(fmt.Sprintf("srt://%s?streamid=%s&passphrase=%s&pbkeylen=%d&latency=%d", address,
			escape(o.StreamID), escape(o.Passphrase), o.KeyLength, o.Latency.Microseconds()))
		if err != nil || same != address || settings != o {
			t.Errorf("%q: %q %+v is read again as %q %+v, %v", raw, address, o, same, settings, err)
		}
	})
}
