package codec

// The elements of a raw AAC frame (ISO/IEC 14496-3 table 4.85).
const (
	aacSCE = 0 // one channel
	aacCPE = 1 // a pair
	aacLFE = 3
	aacEND = 7
)

// aacElements are the elements of each channel configuration (table 1.19).
var aacElements = [...][]uint32{
	1: {aacSCE}, 2: {aacCPE}, 3: {aacSCE, aacCPE}, 4: {aacSCE, aacCPE, aacSCE}, 5: {aacSCE, aacCPE, aacCPE},
	6: {aacSCE, aacCPE, aacCPE, aacLFE}, 7: {aacSCE, aacCPE, aacCPE, aacCPE, aacLFE},
}

// Silence returns an access unit that decodes to silence at any sample rate: a
// long window without a scale factor band in each channel.
func (c *AAC) Silence() []byte {
	configuration := c.Channels
	if configuration == 8 {
		configuration = 7
	}
	if configuration < 1 || configuration >= len(aacElements) {
		return nil
	}
	w := &bitWriter{}
	tags := [aacEND]uint32{}
	for _, e := range aacElements[configuration] {
		w.bits(e, 3)
		w.bits(tags[e], 4)
		tags[e]++
		if e != aacCPE {
			w.bits(0, 8+11+3) // global_gain, ics_info; no pulse, TNS, gain control
			continue
		}
		w.bits(1, 1)    // common_window
		w.bits(0, 11+2) // ics_info, ms_mask_present
		w.bits(0, 8+3)  // global_gain; no pulse, TNS, gain control
		w.bits(0, 8+3)  // likewise
	}
	w.bits(aacEND, 3)
	return w.b
}

// Silence returns 20 ms of silence to follow the packet last, which may be nil.
// A packet of one byte would be concealment: decoders repeat the last tone.
func (c *Opus) Silence(last []byte) []byte {
	switch {
	case len(last) > 0 && last[0]>>3 < 16: // SILK or hybrid: a switch of modes clicks in ffmpeg's decoder
		return []byte{0x48, 0x07, 0xc9, 0x79, 0xc8, 0xc9, 0x57, 0xc0}
	case c.Channels == 1:
		return []byte{0xf8, 0xff, 0xfe}
	default:
		return []byte{0xfc, 0xff, 0xfe}
	}
}
