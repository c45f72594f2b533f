// Package flv maps frames onto FLV tags, the form of media in RTMP messages and
// in pipes to ffmpeg (Adobe Flash Video File Format Specification 10.1, Annex E).
// What a codec puts into a tag stands in the codec's own file (package codec);
// here are the parts that all share: parsing a tag's body and writing a file.
//
// A Writer belongs to one goroutine; everything else is pure.
package flv

import (
	"time"

	"glimpse/internal/media/frame"
)

// The tag types (Annex E.4.1), which are also RTMP's message types.
const (
	TagAudio = 8
	TagVideo = 9
	TagData  = 18
)

// Codec is a codec that FLV can carry.
type Codec interface {
	frame.Codec
	// FLVConfig returns the body of the tag that announces the parameters (the
	// sequence header).
	FLVConfig() []byte
	// AppendFLV appends what stands before a frame's payload in its tag: key
	// says whether the frame is a key frame, cts is its composition offset in
	// milliseconds (signed 24 bit).
	AppendFLV(b []byte, key bool, cts int32) []byte
	// FLVMetadata gives what onMetaData says of the codec (Annex E.5).
	FLVMetadata(set func(name string, v float64))
}

// TagType returns TagVideo or TagAudio.
func TagType(k frame.Kind) byte {
	if k == frame.Video {
		return TagVideo
	}
	return TagAudio
}

// FourCC is the code by which a codec's tags name it in the extended headers of
// Enhanced RTMP; empty when they have the headers that every reader knows.
func FourCC(c Codec) string {
	b := c.FLVConfig()
	extended := len(b) >= 5 && (c.Kind() == frame.Video && b[0]&0x80 != 0 || c.Kind() == frame.Audio && b[0]>>4 == 9)
	if !extended {
		return ""
	}
	return string(b[1:5])
}

// Millis rounds a time to FLV's clock. Times are rounded, not offsets between
// them, so that errors do not add up.
func Millis(d time.Duration) int64 {
	return int64(d.Round(time.Millisecond) / time.Millisecond)
}

// CompositionMillis is a frame's composition offset on FLV's clock, bounded to
// the signed 24 bits that a tag has for it.
func CompositionMillis(f *frame.Frame) int32 {
	return int32(min(max(Millis(f.PTS)-Millis(f.DTS), -1<<23), 1<<23-1))
}
