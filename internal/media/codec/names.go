package codec

import (
	"fmt"

	"glimpse/internal/media/frame"
)

// The names of the codecs that streams may have, as Codec.Name gives them.
const (
	nameH264 = "H.264"
	nameH265 = "H.265"
	nameAV1  = "AV1"
	nameAAC  = "AAC"
	nameOpus = "Opus"
)

// Supported lists what streams may have, for people.
const Supported = "H.264 or H.265 video (AV1 by enhanced RTMP) with AAC or Opus audio"

// Taken reports whether streams may have a codec, by its name.
func Taken(name string) bool {
	switch name {
	case nameH264, nameH265, nameAV1, nameAAC, nameOpus:
		return true
	}
	return false
}

// Composes reports whether pictures of a codec have composition offsets in the
// tags of Enhanced RTMP.
func Composes(name string) bool { return name == nameH264 || name == nameH265 }

// FourCCName names the codecs of Enhanced RTMP by their four characters; any
// other code is not repeated.
func FourCCName(code string) string {
	switch code {
	case "avc1":
		return nameH264
	case "hvc1":
		return nameH265
	case "av01":
		return nameAV1
	case "mp4a":
		return nameAAC
	case "Opus":
		return nameOpus
	case "vvc1":
		return "H.266"
	case "vp08":
		return "VP8"
	case "vp09":
		return "VP9"
	case "fLaC":
		return "FLAC"
	case "ac-3":
		return "AC-3"
	case "ec-3":
		return "E-AC-3"
	case ".mp3":
		return "MP3"
	}
	return "with an unknown four-character code"
}

// FLVName names the codecs of FLV by their number in a tag's first byte (Annex
// E.4.2.1, E.4.3.1).
func FLVName(kind frame.Kind, id byte) string {
	switch { // of each tag, unlike the rest
	case kind == frame.Video && id == 7:
		return nameH264
	case kind == frame.Audio && id == 10:
		return nameAAC
	}
	names := map[byte]string{
		2: "Sorenson H.263", 3: "Screen video", 4: "VP6", 5: "VP6", 6: "Screen video",
		8: "H.263", 9: "MPEG-4 Part 2", 12: "H.265 by a number of its own (enhanced RTMP is taken)",
	}
	if kind == frame.Audio {
		names = map[byte]string{
			0: "PCM", 1: "ADPCM", 2: "MP3", 3: "PCM", 4: "Nellymoser", 5: "Nellymoser", 6: "Nellymoser",
			7: "G.711 A-law", 8: "G.711 mu-law", 11: "Speex", 13: "Opus by a number of its own (enhanced RTMP is taken)", 14: "MP3",
		}
	}
	if name, ok := names[id]; ok {
		return name
	}
	return fmt.Sprintf("number %d", id)
}
