package yolo

import (
	"errors"
	"fmt"
	"slices"
)

// Limits of a model that we run.
const (
	MaxSide    = 2048    // pixels of its input
	MaxClasses = 1000    // of its output
	MaxCells   = 200_000 // places of its output
)

// Layout is how an output holds its boxes.
type Layout uint8

// The layouts. N places, each with a box (centre x, centre y, width, height in
// pixels of the input) and a score for each of nc classes; or M finished boxes
// (x1, y1, x2, y2, score, class) when suppression is part of the model.
const (
	LayoutAny        Layout = iota // to be found out
	LayoutClassMajor               // [1, 4+nc, N], the exporter's usual one
	LayoutCellMajor                // [1, N, 4+nc]
	LayoutSuppressed               // [1, M, 6], exported with nms=True
)

// ParseLayout reads the name of a layout: auto, class-major, cell-major or nms.
func ParseLayout(name string) (Layout, error) {
	switch name {
	case "", "auto":
		return LayoutAny, nil
	case "class-major":
		return LayoutClassMajor, nil
	case "cell-major":
		return LayoutCellMajor, nil
	case "nms":
		return LayoutSuppressed, nil
	}
	return 0, fmt.Errorf("layout %q: it is auto, class-major, cell-major or nms", name)
}

// Tensor is an input or output as the runtime describes it.
type Tensor struct {
	Name string
	// Shape has a negative number where the size is open.
	Shape []int64
	// Type of an element, for example "float32" or "float16".
	Type string
}

// Description is what a model file says of itself.
type Description struct {
	Inputs, Outputs []Tensor
	Names           string // metadata "names": a Python dictionary as text
}

// Spec is a model that can be run. It is immutable.
type Spec struct {
	Input, Output string // names of the tensors
	Width, Height int    // of the input, pixels
	Names         []string
	Layout        Layout
	Rows, Columns int // of the output
}

// ErrModel is in the chain of every error about a model that cannot be used.
var ErrModel = errors.New("this model cannot be used")

func reject(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrModel, fmt.Sprintf(format, args...))
}

// howTo ends the sentences about models that were exported in another way.
const howTo = "; export it with: yolo export model=yolov8n.pt format=onnx imgsz=320 opset=12"

// Read decides whether and how a model can be run. layout is LayoutAny unless
// the operator named one; models of two classes may need that.
func Read(d Description, layout Layout) (*Spec, error) {
	if len(d.Inputs) != 1 {
		return nil, reject("it has %d inputs, not one picture"+howTo, len(d.Inputs))
	}
	if len(d.Outputs) != 1 {
		return nil, reject("it has %d outputs, not one: a segmentation or pose model, or another kind of network"+howTo, len(d.Outputs))
	}
	in, out := d.Inputs[0], d.Outputs[0]
	s := &Spec{Input: in.Name, Output: out.Name}
	if err := s.readInput(in); err != nil {
		return nil, err
	}
	names, err := ParseNames(d.Names)
	if err != nil {
		return nil, reject("its class names (metadata \"names\") are missing or unreadable: %v", err)
	}
	s.Names = names
	if err := s.readOutput(out, layout); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Spec) readInput(in Tensor) error {
	if in.Type != "float32" {
		return reject("its input is %s, not float32: export it with half=False and int8=False", in.Type)
	}
	if len(in.Shape) != 4 {
		return reject("its input has %d dimensions, not 4 (1, 3, height, width)", len(in.Shape))
	}
	if slices.Min(in.Shape) <= 0 {
		return reject("its input's size is open: export it with dynamic=False")
	}
	switch {
	case in.Shape[0] != 1:
		return reject("it takes %d pictures at once: export it with batch=1", in.Shape[0])
	case in.Shape[1] != 3:
		return reject("its input has %d channels, not red, green and blue first", in.Shape[1])
	case in.Shape[2] > MaxSide || in.Shape[3] > MaxSide || in.Shape[2] < 32 || in.Shape[3] < 32:
		return reject("its input is %dx%d pixels; 32 to %d are possible", in.Shape[3], in.Shape[2], MaxSide)
	}
	s.Height, s.Width = int(in.Shape[2]), int(in.Shape[3])
	return nil
}

func (s *Spec) readOutput(out Tensor, layout Layout) error {
	if out.Type != "float32" {
		return reject("its output is %s, not float32", out.Type)
	}
	if len(out.Shape) != 3 || out.Shape[0] != 1 {
		return reject("its output's shape is %v; known are [1,%d,N], [1,N,%d] and [1,M,6]", out.Shape, 4+len(s.Names), 4+len(s.Names))
	}
	if slices.Min(out.Shape) <= 0 {
		return reject("its output's size is open: export it with dynamic=False")
	}
	rows, columns, places := out.Shape[1], out.Shape[2], int64(4+len(s.Names))
	if rows > MaxCells || columns > MaxCells || rows*columns > MaxCells*places {
		return reject("its output %v is too large", out.Shape)
	}
	s.Rows, s.Columns = int(rows), int(columns)
	var possible []Layout
	for _, c := range []struct {
		layout Layout
		fits   bool
	}{{LayoutClassMajor, rows == places}, {LayoutCellMajor, columns == places}, {LayoutSuppressed, columns == 6}} {
		if c.fits && (layout == LayoutAny || layout == c.layout) {
			possible = append(possible, c.layout)
		}
	}
	switch len(possible) {
	case 1:
		s.Layout = possible[0]
		return nil
	case 0:
		return reject("its output's shape is %v; with %d class names known are [1,%d,N], [1,N,%d] and [1,M,6]",
			out.Shape, len(s.Names), places, places)
	}
	return reject("its output's shape %v can be read in several ways: say which with --model-layout class-major, cell-major or nms", out.Shape)
}
