package watch

import (
	"context"
	"errors"
	"fmt"
	"image"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/internal/detect/yolo"
	"glimpse/protocol"
	"glimpse/sdk"
)

// step is what a scripted stream does next: a picture, a state or an end.
type step struct {
	frame *sdk.Frame
	state *protocol.State
	err   error
}

// stream plays steps, each asked for connection goes on where the last ended.
type stream struct {
	steps   []step
	asked   []sdk.FrameOptions
	results []protocol.Detections
	states  []string
	slow    time.Duration // of accepting a result
}

func (s *stream) Frames(ctx context.Context, o sdk.FrameOptions) iter.Seq2[sdk.Frame, error] {
	s.asked = append(s.asked, o)
	return func(yield func(sdk.Frame, error) bool) {
		for len(s.steps) > 0 && ctx.Err() == nil {
			next := s.steps[0]
			s.steps = s.steps[1:]
			switch {
			case next.state != nil:
				o.OnState(*next.state)
			case next.err != nil:
				yield(sdk.Frame{}, next.err)
				return
			case !yield(*next.frame, nil):
				return
			}
		}
		<-ctx.Done()
	}
}

func (s *stream) PostDetections(ctx context.Context, results ...protocol.Detections) error {
	select {
	case <-time.After(s.slow):
		s.results = append(s.results, results...)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *stream) PostState(_ context.Context, st protocol.State) error {
	s.states = append(s.states, st.State)
	return nil
}

// finder finds a dog that moves 1 pixel a picture, and takes a time over it.
type finder struct {
	took time.Duration
	n    int
}

func (f *finder) Name() string     { return "test" }
func (f *finder) Labels() []string { return []string{"dog"} }
func (f *finder) Spec() *yolo.Spec {
	return &yolo.Spec{Width: 320, Height: 320, Names: []string{"dog"}}
}

func (f *finder) Find(_ context.Context, p image.Image, _ float32) ([]yolo.Box, time.Duration, error) {
	time.Sleep(f.took)
	x := float32(f.n)
	f.n++
	return []yolo.Box{{Score: 0.9, X1: x, Y1: 10, X2: x + 50, Y2: 60}}, f.took, nil
}

// pictures are n of them, 100 ms apart from a time on.
func pictures(epoch uint32, from, n int) (steps []step) {
	for i := range n {
		steps = append(steps, step{frame: &sdk.Frame{
			Epoch: epoch, PTS: time.Duration(from+i) * 100 * time.Millisecond, Width: 320, Height: 180,
			Source: image.Pt(1280, 720), Format: sdk.RGB, Data: make([]byte, 3*320*180),
		}})
	}
	return steps
}

func state(s string) step { return step{state: &protocol.State{State: s}} }

// watch runs a script to its end.
func watch(t *testing.T, s *stream, cfg Config) (err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		cfg.Stream, cfg.Logger, cfg.Confidence = s, slog.New(slog.DiscardHandler), 0.35
		if cfg.FPS == 0 {
			cfg.FPS = 10
		}
		err = Run(ctx, cfg)
	})
	return err
}

// Results carry their picture's own time and epoch, boxes in pixels of the
// source, and a velocity; another epoch begins with other numbers.
//
// E33
func TestResults(t *testing.T) {
	s := &stream{steps: append(pictures(3, 10, 4), pictures(4, 0, 1)...)}
	if err := watch(t, s, Config{Finder: &finder{took: time.Millisecond}}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range s.results {
		o := d.Detections[0]
		got = append(got, fmt.Sprintf("%d %.0f %dx%d %s #%d %.0f %v", d.Epoch, d.PTS, d.Width, d.Height, o.ClassName, o.Track, o.BBox, *o.Velocity))
	}
	want := []string{
		"3 1000 1280x720 dog #1 [0 40 200 240] [0 0]",
		"3 1100 1280x720 dog #1 [4 40 204 240] [40 0]",
		"3 1200 1280x720 dog #1 [8 40 208 240] [40 0]",
		"3 1300 1280x720 dog #1 [12 40 212 240] [40 0]",
		"4 0 1280x720 dog #1 [16 40 216 240] [0 0]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if o := s.asked[0]; o.FPS != 10 || o.Width != 320 || o.Format != sdk.RGB {
		t.Errorf("asked for %+v", o)
	}
	if s.results[0].Detections[0].ClassID != 16 {
		t.Errorf("class %d", s.results[0].Detections[0].ClassID)
	}
}

// The states in their order, each told once.
func TestStates(t *testing.T) {
	s := &stream{steps: slices.Concat(
		[]step{state("no_video"), state("starting")}, pictures(1, 0, 3), []step{state("running")}, pictures(1, 3, 2),
		[]step{state("overloaded")}, pictures(1, 5, 2), []step{state("no_video"), state("starting")}, pictures(2, 0, 2), []step{state("running")},
	)}
	if err := watch(t, s, Config{Finder: &finder{}}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"no_video", "starting", "running", "overloaded", "no_video", "starting", "running"}; !slices.Equal(s.states, want) {
		t.Errorf("%v\nwant %v", s.states, want)
	}
}

// A model that takes 80 ms cannot look ten times a second: five are asked for,
// and everybody is told.
//
// E28
func TestOverload(t *testing.T) {
	s := &stream{steps: append(pictures(1, 0, 10), pictures(1, 20, 10)...)}
	if err := watch(t, s, Config{Finder: &finder{took: 80 * time.Millisecond}}); err != nil {
		t.Fatal(err)
	}
	if len(s.asked) != 2 || s.asked[0].FPS != 10 || s.asked[1].FPS != 5 {
		t.Errorf("asked for %+v", s.asked)
	}
	if want := []string{"running", "overloaded"}; !slices.Equal(s.states, want) {
		t.Errorf("%v, want %v", s.states, want)
	}
	if len(s.results) != 20 {
		t.Errorf("%d results", len(s.results))
	}
}

func TestWithoutModel(t *testing.T) {
	s := &stream{steps: pictures(1, 0, 3)}
	if err := watch(t, s, Config{Missing: "do this"}); err != nil {
		t.Fatal(err)
	}
	if len(s.asked) != 0 || len(s.states) < 2 || s.states[0] != protocol.StateModelMissing {
		t.Errorf("asked %v, states %v", s.asked, s.states)
	}
}

// A stream that is not there is waited for; an app that may not look is told.
//
// E51
func TestEnds(t *testing.T) {
	s := &stream{steps: append([]step{{err: sdk.ErrStopped}, {err: sdk.ErrStopped}}, pictures(1, 0, 1)...)}
	if err := watch(t, s, Config{Finder: &finder{}}); err != nil || len(s.results) != 1 || len(s.asked) != 3 {
		t.Errorf("%v, %d results after %d attempts", err, len(s.results), len(s.asked))
	}
	s = &stream{steps: []step{{err: sdk.ErrUnauthorized}}}
	if err := watch(t, s, Config{Finder: &finder{}}); !errors.Is(err, sdk.ErrUnauthorized) {
		t.Errorf("a wrong key: %v", err)
	}
}

// A cloud that accepts nothing costs pictures, not the watcher.
func TestStalledCloud(t *testing.T) {
	s := &stream{steps: pictures(1, 0, 3), slow: time.Hour}
	if err := watch(t, s, Config{Finder: &finder{}}); err != nil || len(s.steps) != 0 || len(s.results) != 0 {
		t.Errorf("%v, %d pictures left", err, len(s.steps))
	}
}
