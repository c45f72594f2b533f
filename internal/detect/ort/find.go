package ort

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
)

// Version is the library that the bindings want: the bindings' own numbers run
// differently. Newer ones do as well, older ones are refused.
const Version = "1.24"

// ErrMissing is in the chain of Open's errors: there is no library to run models
// with. The error's text says what to do.
var ErrMissing = errors.New("ONNX Runtime is missing")

const advice = "run scripts/onnxruntime.sh in Glimpse's folder, which fetches it, or name the library (" + Version + " or newer) with --runtime"

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
