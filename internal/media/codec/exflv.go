package codec

// The extended tag headers of Enhanced RTMP v1 and v2 (veovera.org): a flag and
// the packet's type in the first byte, then four characters.
const (
	exVideo       = 0x80 // IsExHeader
	exAudio       = 0x90 // SoundFormat 9
	exKey         = 1 << 4
	exInter       = 2 << 4
	packetStart   = 0 // SequenceStart
	packetFrames  = 1 // CodedFrames
	packetFramesX = 3 // CodedFramesX: no composition offset
)

// exNumber is a codec's four characters as onMetaData has them.
func exNumber(code string) float64 {
	return float64(uint32(code[0])<<24 | uint32(code[1])<<16 | uint32(code[2])<<8 | uint32(code[3]))
}

// exConfig is the body of a sequence header.
func exConfig(first byte, code string, record []byte) []byte {
	b := append([]byte{first | packetStart}, code...)
	return append(b, record...)
}

// appendExVideo appends what stands before a picture whose codec has composition
// offsets.
func appendExVideo(b []byte, code string, key bool, cts int32) []byte {
	first := byte(exVideo | exInter)
	if key {
		first = exVideo | exKey
	}
	if cts == 0 {
		return append(append(b, first|packetFramesX), code...)
	}
	b = append(append(b, first|packetFrames), code...)
	return append(b, byte(cts>>16), byte(cts>>8), byte(cts))
}

// exMetadata gives the properties of onMetaData that all codecs of pictures have.
func exMetadata(c Video, code string, set func(name string, v float64)) {
	width, height := c.Size()
	set("videocodecid", exNumber(code))
	set("width", float64(width))
	set("height", float64(height))
	if rate := c.FrameRate(); rate > 0 {
		set("framerate", rate)
	}
}
