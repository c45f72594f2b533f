package mp4

// Sample is one access unit in a track's time scale.
type Sample struct {
	Size     uint32
	Duration uint32
	Offset   int32 // presentation minus decoding time
	Key      bool
}

// Run is consecutive samples of one track, whose bytes lie together.
type Run struct {
	Track   int    // place in the file's tracks
	Time    uint64 // decoding time of the first
	Samples []Sample
	At      int64 // where their bytes begin in the file
}

// Ticks is the run's length.
func (r *Run) Ticks() uint64 {
	n := uint64(0)
	for i := range r.Samples {
		n += uint64(r.Samples[i].Duration)
	}
	return n
}

// size of the samples in bytes.
func (r *Run) size() int64 {
	n := int64(0)
	for i := range r.Samples {
		n += int64(r.Samples[i].Size)
	}
	return n
}

// Sample flags (§8.8.3.1): a key frame depends on no other sample, every other
// picture does and is no sync sample.
const (
	flagsKey   = 0x02000000
	flagsDelta = 0x01010000
)

// The flags of trun (§8.8.8) and tfhd (§8.8.7).
const (
	trunDataOffset = 0x001
	trunDuration   = 0x100
	trunSize       = 0x200
	trunFlags      = 0x400
	trunOffset     = 0x800
	baseIsMoof     = 0x020000
	defaultFlags   = 0x000020
)

// What boxes take: moof with mfhd, traf with tfhd, tfdt and a trun without rows, and
// a row of pictures (duration, size, flags, offset) and of sound (duration, size).
const (
	moofSize   = 8 + 16
	trafSize   = 8 + 20 + 20 + 20
	trunSizeOf = 20
	videoRow   = 16
	soundRow   = 8
	dataHeader = 8
)

func rows(video bool, samples int) int {
	if video {
		return samples * videoRow
	}
	return samples * soundRow
}

// FragmentSize is how long a fragment of one run is, without its samples' bytes.
func FragmentSize(video bool, samples int) int {
	return moofSize + trafSize + rows(video, samples) + dataHeader
}

// AppendFragment appends a movie fragment (§8.8) of the runs and the header of
// the mdat that must follow directly, with the runs' bytes in their order. It
// sets each run's At, counted from the fragment's first byte. It is what both
// segments and recordings are made of, and allocates nothing but b.
func AppendFragment(b []byte, sequence uint32, tracks []Track, runs []Run) []byte {
	size, data := moofSize, int64(0)
	for i := range runs {
		size += trafSize + rows(tracks[runs[i].Track].Video, len(runs[i].Samples))
		data += runs[i].size()
	}
	b = box(b, size, "moof")
	b = box(b, 16, "mfhd")
	b = be.AppendUint32(b, 0)
	b = be.AppendUint32(b, sequence)
	at := int64(size + dataHeader)
	for i := range runs {
		runs[i].At = at
		b = appendTraf(b, &tracks[runs[i].Track], &runs[i])
		at += runs[i].size()
	}
	return box(b, dataHeader+int(data), "mdat")
}

// box begins one whose size is known.
func box(b []byte, size int, name string) []byte {
	return append(be.AppendUint32(b, uint32(size)), name...)
}

// appendTraf appends one run. Sound has no rows for flags and offsets: each of its
// samples can be decoded alone and at once.
func appendTraf(b []byte, t *Track, r *Run) []byte {
	table := rows(t.Video, len(r.Samples))
	b = box(b, trafSize+table, "traf")
	b = box(b, 20, "tfhd")
	b = be.AppendUint32(b, baseIsMoof|defaultFlags)
	b = be.AppendUint32(b, t.ID)
	b = be.AppendUint32(b, flagsKey)
	b = box(b, 20, "tfdt")
	b = be.AppendUint32(b, 1<<24)
	b = be.AppendUint64(b, r.Time)
	b = box(b, trunSizeOf+table, "trun")
	columns := uint32(trunDataOffset | trunDuration | trunSize)
	if t.Video {
		columns |= 1<<24 | trunFlags | trunOffset // version 1: offsets are signed
	}
	b = be.AppendUint32(b, columns)
	b = be.AppendUint32(b, uint32(len(r.Samples)))
	b = be.AppendUint32(b, uint32(r.At))
	for i := range r.Samples {
		s := &r.Samples[i]
		b = be.AppendUint32(b, s.Duration)
		b = be.AppendUint32(b, s.Size)
		if !t.Video {
			continue
		}
		flags := uint32(flagsDelta)
		if s.Key {
			flags = flagsKey
		}
		b = be.AppendUint32(b, flags)
		b = be.AppendUint32(b, uint32(s.Offset))
	}
	return b
}
