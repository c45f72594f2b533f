//go:build unix && !linux

package transcode

import (
	"syscall"
)

// procAttr gives a child its own process group, so that Ctrl-C reaches us
// alone. When we die, the end of its stdin ends it.
func procAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// limit does nothing: these systems cannot limit another process.
func limit(int, uint64, uint64) error { return nil }
