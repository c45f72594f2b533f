package transcode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

const (
	// pastTime bounds ConvertAll: a minute of sound takes a second of one processor.
	pastTime = 10 * time.Second
	// pieceLeast is the least sound for which another child is worth its start.
	pieceLeast = 10 * time.Second
	// pieceMost is how many children work on it.
	pieceMost = 4
	// pieceWarm is converted before a piece and left out: decoders and encoders
	// begin softly.
	pieceWarm = 100 * time.Millisecond
)

// ConvertAll implements hub.Converter: as Convert, for sound that is there already,
// by a child per processor, each of them for a stretch of it. Nothing is tried
// again.
func (t *Transcoder) ConvertAll(ctx context.Context, sound []*frame.Frame, form hub.Sound) ([]*frame.Frame, error) {
	to, ok := outputs()[form]
	if !ok {
		return nil, fmt.Errorf("no conversion to %s", form)
	}
	to.backlog = 1 << 62
	ctx, cancel := context.WithTimeout(ctx, pastTime)
	defer cancel()
	pieces := split(sound, min(runtime.GOMAXPROCS(0), pieceMost))
	made, errs := make([][]*frame.Frame, len(pieces)), make([]error, len(pieces))
	var work sync.WaitGroup
	for i, p := range pieces {
		work.Go(func() { made[i], errs[i] = t.convertPiece(ctx, p, to) })
	}
	work.Wait()
	return slices.Concat(made...), errors.Join(errs...)
}

// piece is the sound from one time to another, and a little before it to warm up.
type piece struct {
	sound    []*frame.Frame
	from, to time.Duration
}

// split makes at most n pieces of sound, as long as each other.
func split(sound []*frame.Frame, n int) []piece {
	if len(sound) == 0 {
		return nil
	}
	first, last := sound[0].PTS, sound[len(sound)-1].PTS
	n = max(1, min(n, int((last-first)/pieceLeast)))
	step := (last - first) / time.Duration(n)
	index := func(at time.Duration) int {
		return max(0, slices.IndexFunc(sound, func(f *frame.Frame) bool { return f.PTS >= at }))
	}
	var pieces []piece
	for i := range n {
		p := piece{from: first + time.Duration(i)*step, to: 1 << 62}
		end := len(sound)
		if i+1 < n {
			p.to = p.from + step
			end = index(p.to)
		}
		p.sound = sound[index(p.from-pieceWarm):end]
		pieces = append(pieces, p)
	}
	return pieces
}

// convertPiece runs a child for each stretch of the same parameters.
func (t *Transcoder) convertPiece(ctx context.Context, p piece, to output) ([]*frame.Frame, error) {
	in := &soundInput{src: &gone{sound: p.sound}, to: to}
	dst := &gathered{piece: p}
	out := &soundOutput{dst: dst, to: to, last: -1}
	for {
		track, err := in.wait(ctx)
		if err == nil {
			err = t.convert(ctx, in, out, track)
		}
		switch {
		case errors.Is(err, io.EOF) && out.last < p.sound[len(p.sound)-1].PTS-resyncAfter:
			t.failed.Add(1)
			return dst.frames, errors.New("ffmpeg did not convert all sound")
		case errors.Is(err, io.EOF):
			return dst.frames, nil
		case errors.Is(err, errRenew):
		case err != nil:
			return dst.frames, err
		}
	}
}

// gone is a source of what has been.
type gone struct{ sound []*frame.Frame }

// Next implements source.
func (g *gone) Next(context.Context, []*frame.Frame) ([]*frame.Frame, error) {
	if len(g.sound) == 0 {
		return nil, io.EOF
	}
	all := g.sound
	g.sound = nil
	return all, nil
}

// gathered is a sink that keeps a piece's time.
type gathered struct {
	piece
	frames []*frame.Frame
}

// Write implements sink.
func (g *gathered) Write(f *frame.Frame) {
	if f.PTS >= g.from && f.PTS < g.to {
		g.frames = append(g.frames, f)
	}
}

// Problem implements sink; the caller is told by ConvertAll's error.
func (g *gathered) Problem(error) {}
