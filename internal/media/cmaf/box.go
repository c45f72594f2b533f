package cmaf

import "encoding/binary"

// sample is one access unit in a track's time scale.
type sample struct {
	payload  []byte // shared with the hub's frame
	duration uint32 // ticks
	offset   int32  // presentation minus decoding time, ticks
	key      bool
	void     bool // silence in the place of sound that is not converted yet
}

// Sample flags (ISO/IEC 14496-12 §8.8.3.1): a key frame depends on no other
// sample, every other picture does and is no sync sample.
const (
	flagsKey   = 0x02000000
	flagsDelta = 0x01010000
)

const (
	fixedSize  = 8 + 16 + 8 + 20 + 20 + 20 // moof, mfhd, traf, tfhd, tfdt, trun without its table
	videoEntry = 16                        // duration, size, flags, composition offset
	audioEntry = 8                         // duration, size
	mdatHeader = 8
)

// moofSize is the size of the moof box of n samples.
func moofSize(video bool, n int) int {
	if video {
		return fixedSize + n*videoEntry
	}
	return fixedSize + n*audioEntry
}

// appendMoof appends a movie fragment of one track with id 1 (ISO/IEC 14496-12
// §8.8) and the header of the mdat that must follow directly. base is the
// decoding time of the first sample.
func appendMoof(b []byte, video bool, sequence uint32, base uint64, samples []sample, dataSize int) []byte {
	be := binary.BigEndian
	size := moofSize(video, len(samples))
	trafSize := size - 8 - 16
	box := func(n int, name string) {
		b = be.AppendUint32(b, uint32(n))
		b = append(b, name...)
	}
	box(size, "moof")
	box(16, "mfhd")
	b = be.AppendUint32(b, 0)
	b = be.AppendUint32(b, sequence)
	box(trafSize, "traf")
	box(20, "tfhd")
	b = be.AppendUint32(b, 0x020020) // default-base-is-moof, default-sample-flags
	b = be.AppendUint32(b, 1)
	b = be.AppendUint32(b, flagsKey)
	box(20, "tfdt")
	b = be.AppendUint32(b, 1<<24)
	b = be.AppendUint64(b, base)
	box(trafSize-8-20-20, "trun")
	if video {
		b = be.AppendUint32(b, 1<<24|0xf01) // data offset; duration, size, flags, signed composition offset
	} else {
		b = be.AppendUint32(b, 0x301)
	}
	b = be.AppendUint32(b, uint32(len(samples)))
	b = be.AppendUint32(b, uint32(size+mdatHeader))
	for i := range samples {
		s := &samples[i]
		b = be.AppendUint32(b, s.duration)
		b = be.AppendUint32(b, uint32(len(s.payload)))
		if video {
			flags := uint32(flagsDelta)
			if s.key {
				flags = flagsKey
			}
			b = be.AppendUint32(b, flags)
			b = be.AppendUint32(b, uint32(s.offset))
		}
	}
	box(mdatHeader+dataSize, "mdat")
	return b
}
