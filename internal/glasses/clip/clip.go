// Package clip holds the ten seconds of video that the simulated glasses play
// when they are given nothing else, so that a demo needs no file and no camera:
// 1280x720 at 30 pictures a second, H.264 Constrained Baseline without
// B-frames, a key frame every second, and AAC-LC mono at 48 kHz.
//
// A strip of 32-pixel blocks at the bottom left carries the number of the
// picture as a bar code, so that a reader can tell exactly which picture it
// sees; testdata/clip.truth.json says what is in each of them.
package clip

import (
	_ "embed"
	"strings"
)

//go:embed clip.mp4
var file string

// Open returns a reader on the clip's MP4 file. Readers are independent.
func Open() *strings.Reader { return strings.NewReader(file) }
