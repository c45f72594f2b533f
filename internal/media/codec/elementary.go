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

// Decodable is an access unit for a decoder that is fed one after the other. A key
// frame brings the track's parameters; those inside a picture that could change
// its size are left out.
func (c *H264) Decodable(payload []byte, key bool) []byte {
	picture := func(n byte) bool { n &= 0x1f; return n == NALSlice || n == NALIDR || n == NALPPS }
	if !key {
		return elementary(payload, picture)
	}
	return elementary(payload, picture, c.SPS, c.PPS)
}

// IVF is the codec's name in that container, and the name of ffmpeg's decoder where
// it does not know it by the first.
func (c *H264) IVF() (fourCC, decoder string) { return "H264", "" }

// Decodable is an access unit for a decoder; see H264.Decodable.
func (c *H265) Decodable(payload []byte, key bool) []byte {
	picture := func(n byte) bool { n = n >> 1 & 0x3f; return n < hevcVPS || n == hevcPPS }
	if !key {
		return elementary(payload, picture)
	}
	return elementary(payload, picture, c.VPS, c.SPS, c.PPS)
}

// IVF is the codec's name in that container and ffmpeg's; see H264.IVF.
func (c *H265) IVF() (fourCC, decoder string) { return "HEVC", "hevc" }

// Decodable is an access unit for a decoder; see H264.Decodable.
func (c *AV1) Decodable(payload []byte, key bool) []byte {
	var b []byte
	if key {
		b = append(b, c.Sequence...)
	}
	for o := range obus(payload) {
		if o.kind != obuSequence {
			b = append(b, o.whole...)
		}
	}
	return b
}

// IVF is the codec's name in that container; see H264.IVF.
func (c *AV1) IVF() (fourCC, decoder string) { return "AV01", "" }

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
