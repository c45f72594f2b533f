package streams

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"glimpse/internal/control/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testNow = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// fakeMedia refuses a key that is taken, as the media plane does.
type fakeMedia struct {
	open map[string]Stream
	err  error
}

var errTaken = errors.New("key is taken")

func (m *fakeMedia) OpenStanding(s Stream) error {
	for _, o := range m.open {
		if o.IngestKey == s.IngestKey {
			return errTaken
		}
	}
	if m.err == nil {
		m.open[s.ID] = s
	}
	return m.err
}

func (m *fakeMedia) CloseStanding(id string) { delete(m.open, id) }

func (m *fakeMedia) SetOutputs(s Stream) { m.open[s.ID] = s }

func (m *fakeMedia) CheckOutput(url string) error {
	if !strings.HasPrefix(url, "rtmp://") {
		return errors.New("must be rtmp")
	}
	return nil
}

func open(t *testing.T, backend store.Backend, log io.Writer, configured ...Configured) (*Registry, *fakeMedia, error) {
	t.Helper()
	media := &fakeMedia{open: map[string]Stream{}}
	r, err := New(t.Context(), backend, configured, media, func() time.Time { return testNow }, slog.New(slog.NewTextHandler(log, nil)))
	return r, media, err
}

func TestStreamsSurviveARestart(t *testing.T) {
	backend := store.NewMemory()
	defer backend.Close()
	r, media, err := open(t, backend, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	made, err := r.Create(t.Context(), Spec{Name: "door", ResumeWindow: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]Stream{made.ID: made}, media.open); diff != "" {
		t.Errorf("not opened: %s", diff)
	}
	r, media, err = open(t, backend, io.Discard, Configured{Name: "fixed", IngestKey: "k", PlaybackID: "p"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made, media.open[made.ID]); diff != "" {
		t.Errorf("after a restart: %s", diff)
	}
	if list := r.List(); len(list) != 2 || len(media.open) != 2 {
		t.Errorf("after a restart: %+v", list)
	}
	if err := r.Delete(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	if err := r.Delete(t.Context(), made.ID); !errors.Is(err, ErrUnknown) {
		t.Errorf("delete twice = %v", err)
	}
	if _, there := media.open[made.ID]; there {
		t.Error("still open after the delete")
	}
	if _, media, _ = open(t, backend, io.Discard); len(media.open) != 0 {
		t.Errorf("after the delete and a restart: %v", media.open)
	}
}

func TestConfiguredStreams(t *testing.T) {
	backend := store.NewMemory()
	defer backend.Close()
	r, media, err := open(t, backend, io.Discard, Configured{Name: "fixed", IngestKey: "chosen-key", PlaybackID: "chosen-id"})
	if err != nil {
		t.Fatal(err)
	}
	s := r.List()[0]
	if s.IngestKey != "chosen-key" || s.PlaybackID != "chosen-id" || !s.FromConfig || len(s.ID) > 11 || s.ResumeWindow != DefaultResumeWindow {
		t.Errorf("configured %+v", s)
	}
	if err := r.Delete(t.Context(), s.ID); !errors.Is(err, ErrConfig) || len(media.open) != 1 {
		t.Errorf("delete = %v", err)
	}
	again, _, err := open(t, backend, io.Discard, Configured{Name: "fixed", IngestKey: "other-key", PlaybackID: "other-id"})
	if err != nil || again.List()[0].ID != s.ID {
		t.Errorf("the id changed with the keys: %v, %v", again.List(), err)
	}
	if _, _, err := open(t, backend, io.Discard, Configured{Name: "a", IngestKey: "k", PlaybackID: "p"}, Configured{Name: "b", IngestKey: "k", PlaybackID: "q"}); !errors.Is(err, errTaken) {
		t.Errorf("one key twice = %v", err)
	}
}

func TestConfigWinsWithAWarning(t *testing.T) {
	backend := store.NewMemory()
	defer backend.Close()
	r, _, err := open(t, backend, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := r.Create(t.Context(), Spec{})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	r, media, err := open(t, backend, &log, Configured{Name: "mine", IngestKey: stored.IngestKey, PlaybackID: "p"})
	if err != nil {
		t.Fatal(err)
	}
	if _, there := media.open[stored.ID]; there || len(r.List()) != 1 {
		t.Errorf("streams %+v, want the configured one alone", r.List())
	}
	if !strings.Contains(log.String(), "level=WARN") || strings.Contains(log.String(), stored.IngestKey) {
		t.Errorf("log %q, want a warning without the key", log.String())
	}
}

func TestCreateRefuses(t *testing.T) {
	backend := store.NewMemory()
	defer backend.Close()
	r, media, err := open(t, backend, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range []Spec{{Name: "a b"}, {ResumeWindow: -1}, {ResumeWindow: MaxResumeWindow + 1}} {
		if _, err := r.Create(t.Context(), spec); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v, want ErrInvalid", spec, err)
		}
	}
	media.err = errTaken
	if _, err := r.Create(t.Context(), Spec{}); !errors.Is(err, errTaken) {
		t.Errorf("media refuses: %v", err)
	}
	if again, _, _ := open(t, backend, io.Discard); len(again.List()) != 0 {
		t.Errorf("a stream that did not open is stored: %+v", again.List())
	}
	media.err = nil
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Create(ended, Spec{}); err == nil || len(media.open) != 0 {
		t.Errorf("opened without the store: %v", err)
	}
	for range MaxStreams {
		if _, err := r.Create(t.Context(), Spec{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Create(t.Context(), Spec{}); !errors.Is(err, ErrFull) {
		t.Errorf("one too many = %v", err)
	}
}
