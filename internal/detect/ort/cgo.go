//go:build cgo

package ort

import (
	"errors"
	"fmt"
	"runtime"

	onnx "github.com/yalue/onnxruntime_go"

	"glimpse/internal/detect/yolo"
)

// Runtime is the loaded library.
type Runtime struct{}

// Open loads the library at path; empty means Find's, and then the system's own.
// A second Open needs a Close before it.
func Open(path string) (*Runtime, error) {
	if path == "" {
		path = Find()
	}
	if path == "" {
		path = name()
	}
	if onnx.IsInitialized() {
		return nil, errors.New("ort: opened twice")
	}
	onnx.SetSharedLibraryPath(path)
	if err := onnx.InitializeEnvironment(onnx.WithLogLevelError()); err != nil {
		return nil, &MissingError{Cause: err, Advice: "ONNX Runtime is missing: run scripts/onnxruntime.sh in Glimpse's folder, which fetches it, or name the library (" + Version + " or newer) with --runtime."}
	}
	if err := onnx.DisableTelemetry(); err != nil {
		return nil, errors.Join(err, onnx.DestroyEnvironment())
	}
	return &Runtime{}, nil
}

// Close unloads the library. All Networks must be closed before.
func (*Runtime) Close() error { return onnx.DestroyEnvironment() }

// Network is a model in memory with its input and output.
type Network struct {
	spec    *yolo.Spec
	session *onnx.AdvancedSession
	input   *onnx.Tensor[float32]
	output  *onnx.Tensor[float32]
}

// Load makes a model out of the bytes of an .onnx file, which it does not keep.
// It refuses what yolo.Read refuses.
func (*Runtime) Load(file []byte, layout yolo.Layout) (*Network, error) {
	d, err := describe(file)
	if err != nil {
		return nil, err
	}
	spec, err := yolo.Read(d, layout)
	if err != nil {
		return nil, err
	}
	n := &Network{spec: spec}
	if err := n.build(file); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", yolo.ErrModel, err), n.Close())
	}
	return n, nil
}

func describe(file []byte) (d yolo.Description, err error) {
	inputs, outputs, err := onnx.GetInputOutputInfoWithONNXData(file)
	if err != nil {
		return d, fmt.Errorf("%w: not an ONNX model that the runtime can read: %w", yolo.ErrModel, err)
	}
	for _, l := range []struct {
		from []onnx.InputOutputInfo
		to   *[]yolo.Tensor
	}{{inputs, &d.Inputs}, {outputs, &d.Outputs}} {
		for _, t := range l.from {
			*l.to = append(*l.to, yolo.Tensor{Name: t.Name, Shape: t.Dimensions, Type: elementType(t.DataType)})
		}
	}
	meta, err := onnx.GetModelMetadataWithONNXData(file)
	if err != nil {
		return d, fmt.Errorf("%w: its metadata is unreadable: %w", yolo.ErrModel, err)
	}
	defer func() { err = errors.Join(err, meta.Destroy()) }()
	d.Names, _, err = meta.LookupCustomMetadataMap("names")
	return d, err
}

func elementType(t onnx.TensorElementDataType) string {
	switch t {
	case onnx.TensorElementDataTypeFloat:
		return "float32"
	case onnx.TensorElementDataTypeFloat16:
		return "float16"
	case onnx.TensorElementDataTypeDouble:
		return "float64"
	case onnx.TensorElementDataTypeUint8:
		return "uint8"
	case onnx.TensorElementDataTypeInt64:
		return "int64"
	}
	return t.String()
}

// build makes the session: one thread, since a second gains nothing for models
// of this size, and none that spins between pictures.
func (n *Network) build(file []byte) (err error) {
	s := n.spec
	if n.input, err = onnx.NewEmptyTensor[float32](onnx.NewShape(1, 3, int64(s.Height), int64(s.Width))); err != nil {
		return err
	}
	if n.output, err = onnx.NewEmptyTensor[float32](onnx.NewShape(1, int64(s.Rows), int64(s.Columns))); err != nil {
		return err
	}
	options, err := onnx.NewSessionOptions()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, options.Destroy()) }()
	if err := errors.Join(
		options.SetIntraOpNumThreads(1), options.SetInterOpNumThreads(1),
		options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
		options.AddSessionConfigEntry("session.inter_op.allow_spinning", "0"),
	); err != nil {
		return err
	}
	n.session, err = onnx.NewAdvancedSessionWithONNXData(file, []string{s.Input}, []string{s.Output},
		[]onnx.Value{n.input}, []onnx.Value{n.output}, options)
	return err
}

// Spec says what the model is.
func (n *Network) Spec() *yolo.Spec { return n.spec }

// Run lets fill write the input and read look at the output; neither slice may
// be kept.
func (n *Network) Run(fill func(input []float32), read func(output []float32)) error {
	defer runtime.KeepAlive(n)
	fill(n.input.GetData())
	if err := n.session.Run(); err != nil {
		return fmt.Errorf("run the model: %w", err)
	}
	read(n.output.GetData())
	return nil
}

// Close gives the native memory back.
func (n *Network) Close() error {
	var err error
	if n.session != nil {
		err = n.session.Destroy()
	}
	for _, t := range []*onnx.Tensor[float32]{n.input, n.output} {
		if t != nil {
			err = errors.Join(err, t.Destroy())
		}
	}
	return err
}
