//go:build !cgo

package ort

import (
	"fmt"

	"glimpse/internal/detect/yolo"
)

// Runtime is not available in this build.
type Runtime struct{}

// Network is not available in this build.
type Network struct{}

// Open fails: this build cannot load the library.
func Open(string) (*Runtime, error) {
	return nil, fmt.Errorf("%w: this glimpse-detect was built without a C compiler; install one (gcc, clang) and build it again with CGO_ENABLED=1", ErrMissing)
}

// Close does nothing.
func (*Runtime) Close() error { return nil }

// Load is never reached.
func (*Runtime) Load([]byte, yolo.Layout) (*Network, error) { return nil, ErrMissing }

// Spec is never reached.
func (*Network) Spec() *yolo.Spec { return nil }

// Run is never reached.
func (*Network) Run(func([]float32), func([]float32)) error { return ErrMissing }

// Close does nothing.
func (*Network) Close() error { return nil }
