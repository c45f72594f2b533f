package streams

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glimpse/internal/control/store"
)

// What a stream is sent on to is changed live and survives a restart; what cannot
// be is refused and changes nothing.
func TestOutputs(t *testing.T) {
	backend := store.NewMemory()
	defer backend.Close()
	fixed := Configured{Name: "fixed", IngestKey: "k", PlaybackID: "p", Restream: []Output{{URL: "rtmp://fixed/a/k"}}}
	r, media, err := open(t, backend, io.Discard, fixed)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	s, err := r.Create(ctx, Spec{Restream: []Output{{URL: "rtmp://a/a/k", Name: "A"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		err  error
		want error
	}{
		{r.AddOutput(ctx, s.ID, Output{URL: "rtmp://b/a/k"}), nil},
		{r.AddOutput(ctx, s.ID, Output{URL: "rtmp://b/a/k"}), ErrOutputExists},
		{r.AddOutput(ctx, s.ID, Output{URL: "http://b/a/k"}), ErrOutputURL},
		{r.AddOutput(ctx, s.ID, Output{URL: "rtmp://c/a/k", Name: strings.Repeat("x", 129)}), ErrInvalid},
		{r.AddOutput(ctx, "none", Output{URL: "rtmp://b/a/k"}), ErrUnknown},
		{r.PauseOutput(ctx, s.ID, "rtmp://b/a/k", true), nil},
		{r.PauseOutput(ctx, s.ID, "rtmp://c/a/k", true), ErrOutputUnknown},
		{r.RemoveOutput(ctx, s.ID, "rtmp://a/a/k"), nil},
		{r.RemoveOutput(ctx, s.ID, "rtmp://a/a/k"), ErrOutputUnknown},
		{r.AddOutput(ctx, configID("fixed"), Output{URL: "rtmp://b/a/k"}), ErrConfig},
		{r.RemoveOutput(ctx, configID("fixed"), "rtmp://fixed/a/k"), ErrConfig},
		{r.PauseOutput(ctx, configID("fixed"), "rtmp://fixed/a/k", true), nil},
	} {
		if !errors.Is(step.err, step.want) {
			t.Errorf("%v, want %v", step.err, step.want)
		}
	}
	want := []Output{{URL: "rtmp://b/a/k", Paused: true}}
	if diff := cmp.Diff(want, media.open[s.ID].Restream); diff != "" {
		t.Errorf("the media plane was told: %s", diff)
	}
	if r, media, err = open(t, backend, io.Discard, fixed); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, media.open[s.ID].Restream); diff != "" {
		t.Errorf("after a restart: %s", diff)
	}
	for i := range MaxOutputs - 1 {
		if err := r.AddOutput(ctx, s.ID, Output{URL: fmt.Sprint("rtmp://x/a/", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.AddOutput(ctx, s.ID, Output{URL: "rtmp://x/a/more"}); !errors.Is(err, ErrOutputs) {
		t.Errorf("the eleventh: %v", err)
	}
	if _, _, err := open(t, backend, io.Discard, Configured{Name: "bad", IngestKey: "x", PlaybackID: "y", Restream: []Output{{URL: "ftp://x"}}}); !errors.Is(err, ErrOutputURL) {
		t.Errorf("a configured one that cannot be: %v", err)
	}
}
