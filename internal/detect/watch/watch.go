// Package watch looks at one live stream: it takes the stream's pictures as fast
// as the model keeps up, follows what is found, and tells the cloud, with the
// time of each picture, so that viewers see boxes on the right one.
//
// Detection never delays video: pictures that come while the model looks are
// replaced by newer ones. Run is one goroutine and owns all state.
package watch

import (
	"context"
	"errors"
	"image"
	"iter"
	"log/slog"
	"strings"
	"time"

	"glimpse/internal/detect/pace"
	"glimpse/internal/detect/track"
	"glimpse/internal/detect/yolo"
	"glimpse/protocol"
	"glimpse/sdk"
)

const (
	// surer is how much more than the least score something new must have.
	surer = 0.10
	// postWait is how long the cloud may take to accept a result; the next picture
	// is worth more than a late result.
	postWait = 2 * time.Second
	// again is the pause before a stream that is not there is asked for again.
	again = 5 * time.Second
	// repeat is how often the state is told when it does not change: the cloud
	// forgets it with the stream.
	repeat = 10 * time.Second
)

// Stream is a live stream at the cloud; sdk.Live is one.
type Stream interface {
	Frames(ctx context.Context, o sdk.FrameOptions) iter.Seq2[sdk.Frame, error]
	PostDetections(ctx context.Context, results ...protocol.Detections) error
	PostState(ctx context.Context, state protocol.State) error
}

// Finder finds things in pictures; engine.Engine is one.
type Finder interface {
	Find(ctx context.Context, picture image.Image, score float32) (boxes []yolo.Box, took time.Duration, err error)
	Spec() *yolo.Spec
	Name() string
	Labels() []string
}

// Config of a watcher.
type Config struct {
	Stream     Stream
	Finder     Finder  // nil: only the state model_missing is told
	Missing    string  // why there is no Finder
	FPS        float64 // pictures a second at most
	Confidence float32 // least score of what is told, see track
	// OnDetections is called with each result after it was posted; may be nil.
	OnDetections func(protocol.Detections)
	// OnState is called when the state changes; may be nil.
	OnState func(protocol.State)
	Logger  *slog.Logger
}

// watcher is one stream being looked at.
type watcher struct {
	Config
	pace    *pace.Pace
	tracker *track.Tracker
	epoch   uint32
	begun   bool           // a result was told since pictures began to come
	cloud   protocol.State // of the pictures
	told    protocol.State
	toldAt  time.Time
}

// Run watches until ctx ends or the stream's pictures end by themselves, which is
// no error. A stream that is not there is waited for; an *sdk.Error says that the
// app may not look at it.
func Run(ctx context.Context, cfg Config) error {
	w := &watcher{Config: cfg, pace: pace.New(cfg.FPS), tracker: track.New(cfg.Confidence + surer)}
	if cfg.Finder == nil {
		return w.explain(ctx)
	}
	for ctx.Err() == nil {
		var refused *sdk.Error
		over, err := w.follow(ctx)
		switch {
		case errors.As(err, &refused) && !errors.Is(err, sdk.ErrStopped):
			return err
		case err != nil:
			w.tell(ctx, protocol.State{State: protocol.StateNoVideo, Reason: err.Error()})
			pause(ctx, again)
		case over:
			return nil
		}
	}
	return nil
}

// explain says again and again that nothing is found because there is no model.
func (w *watcher) explain(ctx context.Context) error {
	for ctx.Err() == nil {
		w.tell(ctx, protocol.State{State: protocol.StateModelMissing, Reason: w.Missing})
		pause(ctx, repeat)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// follow looks at pictures until they end (over), the rate changes or the stream
// is not there.
func (w *watcher) follow(ctx context.Context) (over bool, err error) {
	o := sdk.FrameOptions{
		FPS: w.pace.FPS(), Width: w.Finder.Spec().Width, Format: sdk.RGB,
		OnState: func(s protocol.State) {
			w.cloud = s
			w.begun = w.begun && s.State != protocol.StateNoVideo
			w.tell(ctx, w.state())
		},
	}
	for f, err := range w.Stream.Frames(ctx, o) {
		if err != nil {
			return false, err
		}
		changed, err := w.look(ctx, f)
		if err != nil {
			w.Logger.Warn("a picture was not looked at", "err", err)
		}
		w.tell(ctx, w.state())
		if changed {
			w.Logger.Info("another rate", "fps", w.pace.FPS())
			return false, nil
		}
	}
	return true, nil
}

// look finds what is in a picture and tells it; changed says that the rate has to
// change.
func (w *watcher) look(ctx context.Context, f sdk.Frame) (changed bool, err error) {
	picture, err := f.Image()
	if err != nil {
		return false, err
	}
	boxes, took, err := w.Finder.Find(ctx, picture, track.Keep)
	if err != nil {
		return false, err
	}
	if f.Epoch != w.epoch { // another clock
		w.epoch, w.tracker = f.Epoch, track.New(w.Confidence+surer)
	}
	d := protocol.Detections{
		Type: protocol.TypeDetections, Epoch: f.Epoch, PTS: float64(f.PTS) / float64(time.Millisecond),
		Width: f.Source.X, Height: f.Source.Y, Infer: float64(took.Microseconds()) / 1000, Model: w.Finder.Name(),
	}
	if d.Width == 0 {
		d.Width, d.Height = f.Width, f.Height
	}
	scale := float32(d.Width) / float32(f.Width)
	d.Detections = describe(w.Finder.Spec(), w.tracker.Update(f.PTS, boxes), scale)
	bounded, cancel := context.WithTimeout(ctx, postWait)
	defer cancel()
	if err := w.Stream.PostDetections(bounded, d); err != nil {
		return w.pace.Add(took), err
	}
	w.begun = true
	if w.OnDetections != nil {
		w.OnDetections(d)
	}
	return w.pace.Add(took), nil
}

// describe writes what is seen in the cloud's words, in pixels of the source.
func describe(s *yolo.Spec, seen []track.Object, scale float32) []protocol.Detection {
	list := make([]protocol.Detection, 0, len(seen))
	for _, o := range seen {
		x1, y1, x2, y2 := tenth(o.X1*scale), tenth(o.Y1*scale), tenth(o.X2*scale), tenth(o.Y2*scale)
		list = append(list, protocol.Detection{
			Track: o.ID, ClassID: s.ClassID(o.Class), ClassName: s.Names[o.Class], Confidence: float64(int(o.Score*1e4)) / 1e4,
			BBox: [4]float64{x1, y1, x2, y2}, CenterX: (x1 + x2) / 2, CenterY: (y1 + y2) / 2,
			Velocity: &[2]float64{tenth(o.VX * scale), tenth(o.VY * scale)},
		})
	}
	return list
}

func tenth(v float32) float64 { return float64(int(v*10)) / 10 }

// state is how looking goes now.
func (w *watcher) state() protocol.State {
	s := protocol.State{State: protocol.StateRunning, Model: w.Finder.Name(), Labels: w.Finder.Labels(), FPS: w.pace.FPS()}
	switch {
	case w.cloud.State == protocol.StateNoVideo || w.cloud.State == protocol.StateStopped:
		s.State, s.Reason = protocol.StateNoVideo, w.cloud.Reason
	case !w.begun:
		s.State, s.Reason = protocol.StateStarting, w.cloud.Reason
	case w.pace.Slowed():
		s.State, s.Reason = protocol.StateOverloaded, "The model takes too long for the wanted rate on this machine."
	case w.cloud.State == protocol.StateOverloaded:
		s.State, s.Reason = protocol.StateOverloaded, w.cloud.Reason
	}
	return s
}

// tell tells a state that is new, and any now and then.
func (w *watcher) tell(ctx context.Context, s protocol.State) {
	same := s.State == w.told.State && s.Reason == w.told.Reason && s.FPS == w.told.FPS
	if same && time.Since(w.toldAt) < repeat {
		return
	}
	if !same {
		w.Logger.Info("state", "state", s.State, "reason", s.Reason, "fps", s.FPS)
		if w.OnState != nil {
			w.OnState(s)
		}
	}
	w.told, w.toldAt = s, time.Now()
	s.Reason = short(s.Reason)
	bounded, cancel := context.WithTimeout(ctx, postWait)
	defer cancel()
	if err := w.Stream.PostState(bounded, s); err != nil && ctx.Err() == nil {
		w.Logger.Debug("the state was not told", "err", err)
	}
}

// maxReason is the most bytes of a reason that the cloud takes.
const maxReason = 256

// short cuts a sentence to what the cloud takes, in one line.
func short(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxReason {
		s = strings.ToValidUTF8(s[:maxReason-3], "") + "…"
	}
	return s
}
