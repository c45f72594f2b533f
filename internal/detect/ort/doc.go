// Package ort runs models with ONNX Runtime, whose library is found and loaded
// while the program runs: without it, or when the program was built without a C
// compiler, Open says so with a MissingError and everything else goes on.
//
// The library is one per process, and so is the Runtime that Open returns. A
// Network owns its native memory until Close; it may be used by one goroutine
// at a time, different Networks at the same time.
package ort
