//go:build !linux

package webrtc

// disable does nothing: there is no offload.
func disable(*destination, bool) {}
