package poster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/serve/servetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, cfg Config) *Store {
	t.Helper()
	if cfg.Picture == nil {
		cfg.Picture = func(context.Context, *hub.Run) ([]byte, time.Time, error) {
			return nil, time.Time{}, errors.New("none")
		}
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// A run that is over leaves its last picture, also for the next process.
func TestRunLeavesPoster(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "posters")
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	s := open(t, Config{Dir: dir, Picture: func(_ context.Context, run *hub.Run) ([]byte, time.Time, error) {
		return []byte("picture of " + run.Stream().ID()), at, nil
	}})
	h := hub.New(hub.Config{}, slog.New(slog.DiscardHandler), s.Output)
	stream, err := h.Open(hub.Spec{ID: "one", IngestKey: "k", PlaybackID: "../../p"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := h.Publish("k", hub.PublisherInfo{})
	if err != nil {
		t.Fatal(err)
	}
	track := &frame.Track{Codec: &codec.H264{SPS: []byte{0x67, 66, 0xc0, 31}, PPS: []byte{0x68}}}
	if err := errors.Join(p.SetTrack(track), p.Video(0, 0, true, []byte{0, 0, 0, 2, 0x65, 1})); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := s.Get("../../p"); ok {
		t.Error("a poster while it is live")
	}
	stream.Close("over")
	h.Close()
	servetest.Until(t, "the poster", func() bool { _, _, ok := s.Get("../../p"); return ok })
	s.Close()
	s = open(t, Config{Dir: dir})
	jpeg, when, ok := s.Get("../../p")
	if string(jpeg) != "picture of one" || !when.Equal(at) || !ok {
		t.Errorf("%q, %v, %v", jpeg, when, ok)
	}
	if _, _, ok := s.Get("p"); ok {
		t.Error("another playback id has it too")
	}
	if err := errors.Join(s.Delete("../../p"), s.Delete("../../p")); err != nil {
		t.Error(err)
	}
	if _, _, ok := s.Get("../../p"); ok {
		t.Error("still there after it was deleted")
	}
}

// What is kept is bounded by number, bytes and age; the oldest go.
func TestBounds(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  Config
		kept string
	}{
		"number": {Config{MaxFiles: 2}, "34"}, "bytes": {Config{MaxBytes: 25}, "34"}, "age": {Config{MaxAge: 150 * time.Minute}, "34"}, "all": {Config{}, "01234"},
	} {
		t.Run(name, func(t *testing.T) {
			c.cfg.Dir = t.TempDir()
			s := open(t, c.cfg)
			for i := range 5 {
				if err := s.put(fmt.Sprint(i), []byte("0123456789"), time.Now().Add(time.Duration(i-5)*time.Hour)); err != nil {
					t.Fatal(err)
				}
			}
			kept := ""
			for i := range 5 {
				if _, _, ok := s.Get(fmt.Sprint(i)); ok {
					kept += fmt.Sprint(i)
				}
			}
			if kept != c.kept {
				t.Errorf("kept %s, want %s", kept, c.kept)
			}
		})
	}
}

// A link that somebody put into the folder leads nowhere, and what a kill left
// unfinished goes.
func TestFolder(t *testing.T) {
	dir, secret := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	if err := errors.Join(os.WriteFile(secret, []byte("x"), 0o600), os.Symlink(secret, filepath.Join(dir, fileOf("p"))),
		os.WriteFile(filepath.Join(dir, "x.jpg.new"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	s := open(t, Config{Dir: dir})
	if _, _, ok := s.Get("p"); ok {
		t.Error("a link was followed")
	}
	if _, err := os.Stat(filepath.Join(dir, "x.jpg.new")); err == nil {
		t.Error("an unfinished file stays")
	}
}
