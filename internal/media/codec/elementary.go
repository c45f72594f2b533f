package codec

// Elementary is a key frame as a stream of its own, for a decoder, and ffmpeg's
// name of its format. It stands under the track's parameters alone: their
// dimensions were checked, those of sets inside the picture were not.
func (c *H264) Elementary(key []byte) (format string, stream []byte) {
	return "h264", elementary(key, func(n byte) bool { n &= 0x1f; return n == NALSlice || n == NALIDR }, c.SPS, c.PPS)
}

// Elementary is a key frame as a stream of its own; see H264.Elementary.
func (c *H265) Elementary(key []byte) (format string, stream []byte) {
	return "hevc", elementary(key, func(n byte) bool { return n>>1&0x3f < hevcVPS }, c.VPS, c.SPS, c.PPS)
}

// Elementary is a key frame as a stream of its own; see H264.Elementary.
func (c *AV1) Elementary(key []byte) (format string, stream []byte) {
	b := append([]byte{obuDelimiter<<3 | 2, 0}, c.Sequence...)
	for o := range obus(key) {
		if o.kind != obuSequence {
			b = append(b, o.whole...)
		}
	}
	return "obu", b
}

// elementary is a byte stream of parameter sets and the NAL units that are
// pictures by their first byte.
func elementary(key []byte, picture func(byte) bool, sets ...[]byte) []byte {
	b := make([]byte, 0, len(key)+256)
	start := []byte{0, 0, 0, 1} // before each NAL unit of a byte stream (Annex B)
	for _, s := range sets {
		b = append(append(b, start...), s...)
	}
	for n := range NALUs(key) {
		if picture(n[0]) {
			b = append(append(b, start...), n...)
		}
	}
	return b
}
