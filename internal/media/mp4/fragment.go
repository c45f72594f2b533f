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
	trunDataOffset  = 0x001
	trunDuration    = 0x100
	trunSize        = 0x200
	trunFlags       = 0x400
	trunOffset      = 0x800
	baseIsMoof      = 0x020000
	defaultFlags    = 0x000020
	trunEverySample = trunDataOffset | trunDuration | trunSize | trunFlags | trunOffset
)

// AppendFragment appends a movie fragment (§8.8) of the runs and the header of
// the mdat that must follow directly, with the runs' bytes in their order. It
// sets each run's At, counted from the fragment's first byte.
func AppendFragment(b []byte, sequence uint32, tracks []Track, runs []Run) []byte {
	w := &boxes{b: b}
	moof := w.open("moof")
	at := w.full("mfhd", 0, 0)
	w.u32(sequence)
	w.close(at)
	offsets := make([]int, len(runs))
	for i := range runs {
		offsets[i] = w.traf(tracks[runs[i].Track].ID, &runs[i])
	}
	w.close(moof)
	data := int64(len(w.b) - moof + 8)
	for i := range runs {
		runs[i].At = data
		be.PutUint32(w.b[offsets[i]:], uint32(data))
		data += runs[i].size()
	}
	w.u32(uint32(data - int64(len(w.b)-moof)))
	w.b = append(w.b, "mdat"...)
	return w.b
}

// traf writes one run and returns where its data offset stands.
func (w *boxes) traf(id uint32, r *Run) (dataOffset int) {
	traf := w.open("traf")
	at := w.full("tfhd", 0, baseIsMoof|defaultFlags)
	w.u32(id)
	w.u32(flagsKey)
	w.close(at)
	at = w.full("tfdt", 1, 0)
	w.u64(r.Time)
	w.close(at)
	at = w.full("trun", 1, trunEverySample)
	w.u32(uint32(len(r.Samples)))
	dataOffset = len(w.b)
	w.u32(0)
	for i := range r.Samples {
		s := &r.Samples[i]
		w.u32(s.Duration)
		w.u32(s.Size)
		flags := uint32(flagsDelta)
		if s.Key {
			flags = flagsKey
		}
		w.u32(flags)
		w.u32(uint32(s.Offset))
	}
	w.close(at)
	w.close(traf)
	return dataOffset
}
