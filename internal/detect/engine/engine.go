// Package engine finds things in pictures: one model for all who ask, a bounded
// number of pictures at once, first come first served.
//
// An Engine owns the runtime's library and its networks until Close, and is safe
// for concurrent use; each network belongs to whoever has taken it out of the
// pool.
package engine

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"glimpse/internal/detect/model"
	"glimpse/internal/detect/ort"
	"glimpse/internal/detect/yolo"
)

const (
	maxFile    = 512 << 20 // bytes of a model
	maxWorkers = 4         // networks in memory
)

// Config of an Engine. The zero value is the shipped model.
type Config struct {
	Runtime string      // the library's file; empty: see ort.Open
	Model   string      // an .onnx file; empty: the shipped one
	Layout  yolo.Layout // of its output
	Classes string      // what to look for, see yolo.Spec.Wanted; empty: animals
}

// Engine finds things in pictures.
type Engine struct {
	name    string
	spec    *yolo.Spec
	wanted  []bool
	library *ort.Runtime
	all     []*worker
	idle    chan *worker
}

// worker is a network and what prepares its input.
type worker struct {
	net *ort.Network
	box *yolo.Letterbox
}

// Open loads the library and the model. Without a library the error is an
// *ort.MissingError, of a model that cannot be used a yolo.ErrModel.
func Open(cfg Config) (_ *Engine, err error) {
	file, name, err := read(cfg.Model)
	if err != nil {
		return nil, err
	}
	e := &Engine{name: name}
	if e.library, err = ort.Open(cfg.Runtime); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	workers := min(max(runtime.NumCPU()/2, 1), maxWorkers)
	e.idle = make(chan *worker, workers)
	for range workers {
		net, err := e.library.Load(file, cfg.Layout)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		w := &worker{net: net, box: yolo.NewLetterbox(net.Spec())}
		e.all = append(e.all, w)
		e.idle <- w
	}
	e.spec = e.all[0].net.Spec()
	if cfg.Classes == "" {
		cfg.Classes = "animals"
	}
	if e.wanted, err = e.spec.Wanted(cfg.Classes); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	// The first run of a network allocates: not on the first picture's time.
	for _, w := range e.all {
		if err = w.net.Run(func([]float32) {}, func([]float32) {}); err != nil {
			return nil, fmt.Errorf("%s: %w: %w", name, yolo.ErrModel, err)
		}
	}
	return e, nil
}

// read returns a model's bytes and its name for people.
func read(path string) ([]byte, string, error) {
	if path == "" {
		return model.File(), model.Name, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", yolo.ErrModel, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", yolo.ErrModel, err)
	}
	if len(b) > maxFile {
		return nil, "", fmt.Errorf("%w: %s is larger than 512 MiB", yolo.ErrModel, path)
	}
	return b, filepath.Base(path), nil
}

// Name of the model.
func (e *Engine) Name() string { return e.name }

// Spec of the model.
func (e *Engine) Spec() *yolo.Spec { return e.spec }

// Labels are the names of what is looked for.
func (e *Engine) Labels() (labels []string) {
	for c, name := range e.spec.Names {
		if e.wanted[c] {
			labels = append(labels, name)
		}
	}
	return labels
}

// Find returns what is in a picture, with at least the given score, and how long
// that took without the wait for its turn.
func (e *Engine) Find(ctx context.Context, picture image.Image, score float32) (boxes []yolo.Box, took time.Duration, err error) {
	var w *worker
	select {
	case w = <-e.idle:
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	defer func() { e.idle <- w }()
	begun := time.Now()
	var fit yolo.Fit
	err = w.net.Run(
		func(input []float32) { fit = w.box.Fill(input, picture) },
		func(output []float32) { boxes = e.spec.Boxes(output, fit, score, e.wanted) },
	)
	return boxes, time.Since(begun), err
}

// Close waits for the pictures that are being looked at and gives everything
// back. Find must not be called any more.
func (e *Engine) Close() error {
	for range e.all {
		<-e.idle
	}
	var err error
	for _, w := range e.all {
		err = errors.Join(err, w.net.Close())
	}
	return errors.Join(err, e.library.Close())
}
