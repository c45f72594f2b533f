// Command evaluate measures a model on scenes that heldout.py drew, through the
// same runtime and decoder as the detector's, and writes the figures as JSON.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"

	"github.com/alecthomas/kong"

	"glimpse/internal/detect/engine"
	"glimpse/internal/detect/score"
	"glimpse/internal/detect/yolo"
)

const side = 320 // pixels of a scene

type flags struct {
	Model   string `placeholder:"FILE" help:"The .onnx model; else the shipped one."`
	Scenes  string `required:"" placeholder:"DIR" help:"What heldout.py made."`
	Out     string `placeholder:"FILE" help:"Where the figures go; else they are printed only."`
	Runtime string `placeholder:"FILE" env:"GLIMPSE_ONNXRUNTIME" help:"ONNX Runtime's library; else the one in .cache/onnxruntime."`
}

func main() {
	var f flags
	kong.Parse(&f, kong.Description("Measures a model on held-out scenes."))
	if err := f.run(); err != nil {
		fmt.Fprintln(os.Stderr, "evaluate:", err)
		os.Exit(1)
	}
}

func (f *flags) run() error {
	if f.Runtime == "" {
		found, _ := filepath.Glob(".cache/onnxruntime/*onnxruntime*") // the pattern is right
		if len(found) > 0 {
			f.Runtime = found[0]
		}
	}
	e, err := engine.Open(engine.Config{Runtime: f.Runtime, Model: f.Model, Classes: "all"})
	if err != nil {
		return err
	}
	pictures, err := look(e, f.Scenes)
	if err != nil {
		return err
	}
	if err := e.Close(); err != nil {
		return err
	}
	var b bytes.Buffer
	j := json.NewEncoder(&b)
	j.SetEscapeHTML(false)
	j.SetIndent("", " ")
	if err := j.Encode(measure(pictures, e.Spec().Names)); err != nil {
		return err
	}
	fmt.Print(b.String())
	if f.Out == "" {
		return nil
	}
	return os.WriteFile(f.Out, b.Bytes(), 0o644)
}

// look runs the model on every scene. The least score is that of all average
// precisions: 0.01.
func look(e *engine.Engine, folder string) ([]score.Picture, error) {
	b, err := os.ReadFile(filepath.Join(folder, "truth.json"))
	if err != nil {
		return nil, err
	}
	var truth [][][5]float32 // class, x1, y1, x2, y2
	if err := json.Unmarshal(b, &truth); err != nil {
		return nil, fmt.Errorf("truth.json: %w", err)
	}
	raw, err := os.Open(filepath.Join(folder, "scenes.u8"))
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	rgb, picture := make([]byte, 3*side*side), image.NewRGBA(image.Rect(0, 0, side, side))
	pictures := make([]score.Picture, len(truth))
	for i, boxes := range truth {
		if _, err := io.ReadFull(raw, rgb); err != nil {
			return nil, fmt.Errorf("scene %d: %w", i, err)
		}
		for k := range side * side {
			copy(picture.Pix[4*k:], rgb[3*k:3*k+3])
		}
		if pictures[i].Found, _, err = e.Find(context.Background(), picture, 0.01); err != nil {
			return nil, err
		}
		for _, t := range boxes {
			pictures[i].Truth = append(pictures[i].Truth, yolo.Box{Class: int(t[0]), X1: t[1], Y1: t[2], X2: t[3], Y2: t[4]})
		}
	}
	return pictures, nil
}
