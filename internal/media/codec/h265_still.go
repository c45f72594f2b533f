package codec

import "bytes"

// hevcBLA is a CRA picture that nothing from before may be shown after: one at a
// joint (BLA_N_LP).
const hevcBLA = 18

// still implements StillOf: the key frame alone. IDR pictures of H.265 have no
// ids that would have to differ. A CRA picture, which counts its order from the
// pictures before, becomes a BLA, which does not; their slice headers are alike
// (ITU-T H.265 §7.3.6.1, §8.1.3). Delimiters and SEI are left out.
func (c *H265) still(payload []byte) *Still {
	out := make([]byte, 0, len(payload))
	for n := range NALUs(payload) {
		t := hevcType(n)
		if t >= hevcAUD {
			continue
		}
		if t == hevcCRA {
			n = bytes.Clone(n)
			n[0] = n[0]&0x81 | hevcBLA<<1
		}
		out = appendNALU(out, n)
	}
	return &Still{keys: [2][]byte{out, out}}
}
