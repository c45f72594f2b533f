package demo

import (
	"fmt"
	"math"
	"time"

	"glimpse/protocol"
)

// How the documents' apps watch a stream.
const (
	healthEvery  = 10 * time.Second
	maxDropRate  = 5.0 // percent; above it the wearer is warned
	restartAfter = 5 * time.Second
)

// DropRate is the share of pictures that the glasses had to drop, in percent:
// droppedFrames / (fps x duration) x 100. ok is false while there is nothing to
// divide by, as in a stream's first moment.
func DropRate(s protocol.Stats) (percent float64, ok bool) {
	percent = s.DroppedFrames / (s.FPS * s.Duration) * 100
	if s.FPS <= 0 || s.Duration <= 0 || s.DroppedFrames < 0 || math.IsInf(percent, 0) || math.IsNaN(percent) {
		return 0, false
	}
	return percent, true
}

// warning is what a log and the wearer are told of a drop rate; empty while it
// is no more than 5 %.
func warning(percent float64) (log, text string) {
	if percent <= maxDropRate {
		return "", ""
	}
	return fmt.Sprintf("⚠️ High drop rate: %.1f%%", percent),
		fmt.Sprintf("⚠️ Poor connection\n\nDropped frames: %.1f%%", percent)
}
