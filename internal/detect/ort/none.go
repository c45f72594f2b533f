//go:build !cgo

package ort

import "glimpse/internal/detect/yolo"

var errNone = &MissingError{Advice: "ONNX Runtime is missing: this glimpse-detect was built without a C compiler. Install one (gcc, clang) and build it again with CGO_ENABLED=1."}

// Runtime is not available in this build.
type Runtime struct{}

// Network is not available in this build.
type Network struct{}

// Open fails: this build cannot load the library.
func Open(string) (*Runtime, error) {
	return nil, errNone
}

// Close does nothing.
func (*Runtime) Close() error { return nil }

// Load is never reached.
func (*Runtime) Load([]byte, yolo.Layout) (*Network, error) { return nil, errNone }

// Spec is never reached.
func (*Network) Spec() *yolo.Spec { return nil }

// Run is never reached.
func (*Network) Run(func([]float32), func([]float32)) error { return errNone }

// Close does nothing.
func (*Network) Close() error { return nil }
