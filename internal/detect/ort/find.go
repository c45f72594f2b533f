package ort

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Version is the library that the bindings want: the bindings' own numbers run
// differently. Newer ones do as well, older ones are refused.
const Version = "1.24"

// MissingError says that there is no library to run models with.
type MissingError struct {
	Advice string // what to do, for everybody
	Cause  error  // for the operator; may be nil
}

// Error is both.
func (e *MissingError) Error() string {
	if e.Cause == nil {
		return e.Advice
	}
	return fmt.Sprintf("%s (%v)", e.Advice, e.Cause)
}

// Unwrap returns the cause.
func (e *MissingError) Unwrap() error { return e.Cause }

// name of the library on this system.
func name() string {
	switch runtime.GOOS {
	case "windows":
		return "onnxruntime.dll"
	case "darwin":
		return "libonnxruntime.dylib"
	}
	return "libonnxruntime.so.1"
}

// Find returns where the library is: beside the program, or where
// scripts/onnxruntime.sh puts it, in .cache/onnxruntime beside the program's
// folder. Empty when it is in neither place. The working directory is not looked
// at: a library from there would be a stranger's code.
func Find() string {
	exe, err := os.Executable()
	if err != nil {
		return ""
	}
	folder := filepath.Dir(exe)
	for _, f := range []string{folder, filepath.Join(folder, "..", ".cache", "onnxruntime")} {
		path := filepath.Join(f, name())
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return ""
}
