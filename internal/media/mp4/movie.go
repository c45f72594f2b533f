package mp4

import "time"

// movieTimescale is the clock of edits and of the movie's length.
const movieTimescale = VideoTimescale

// epoch1904 is what creation times count from, in Unix seconds.
const epoch1904 = -2082844800

// Edit is one part of a track's presentation (§8.6.6).
type Edit struct {
	Duration time.Duration
	Media    int64 // the track's time to begin at, in ticks; -1: nothing is shown
}

// AppendInit appends the moov of fragmented files: tracks without samples, each
// with its newest entry alone.
func AppendInit(b []byte, tracks []Track, entries []int) []byte {
	w := &boxes{b: b}
	moov := w.open("moov")
	w.mvhd(time.Time{}, 0, len(tracks))
	for i, t := range tracks {
		t.Entries = t.Entries[entries[i] : entries[i]+1]
		w.trak(&Table{Track: t}, nil, time.Time{}, 0)
	}
	mvex := w.open("mvex")
	for _, t := range tracks {
		at := w.full("trex", 0, 0)
		w.u32(t.ID)
		w.u32(1)
		w.zeros(12)
		w.close(at)
	}
	w.close(mvex)
	w.close(moov)
	return w.b
}

// AppendMovie appends the moov of a finished file. Bytes of samples lie shift
// further than the tables say. edits are one list a track, or nil.
func AppendMovie(b []byte, tables []*Table, created time.Time, edits [][]Edit, shift int64) []byte {
	w := &boxes{b: b}
	moov := w.open("moov")
	total := time.Duration(0)
	for i, t := range tables {
		total = max(total, shown(t, edits, i))
	}
	w.mvhd(created, movieTicks(total), len(tables))
	for i, t := range tables {
		if t.count == 0 {
			continue
		}
		var list []Edit
		if edits != nil {
			list = edits[i]
		} else if t.start > 0 {
			list = []Edit{{Duration: t.Time(t.start), Media: -1}, {Duration: t.Time(t.end - t.start), Media: 0}}
		}
		w.trak(t, list, created, shift)
	}
	w.close(moov)
	return w.b
}

// shown is how long a track's presentation is.
func shown(t *Table, edits [][]Edit, i int) time.Duration {
	if edits == nil {
		return t.Time(t.end)
	}
	d := time.Duration(0)
	for _, e := range edits[i] {
		d += e.Duration
	}
	return d
}

func movieTicks(d time.Duration) uint64 { return Ticks(d, movieTimescale) }

func (w *boxes) times(created time.Time) {
	at := uint64(0)
	if !created.IsZero() {
		at = uint64(created.Unix() - epoch1904)
	}
	w.u64(at)
	w.u64(at)
}

func (w *boxes) mvhd(created time.Time, duration uint64, tracks int) {
	at := w.full("mvhd", 1, 0)
	w.times(created)
	w.u32(movieTimescale)
	w.u64(duration)
	w.u32(0x10000)
	w.u16(0x100)
	w.zeros(10)
	w.matrix()
	w.zeros(24)
	w.u32(uint32(tracks + 1))
	w.close(at)
}

func (w *boxes) trak(t *Table, edits []Edit, created time.Time, shift int64) {
	trak := w.open("trak")
	length := t.Time(t.end - t.start)
	if len(edits) > 0 {
		length = 0
		for _, e := range edits {
			length += e.Duration
		}
	}
	w.tkhd(t, created, movieTicks(length))
	if len(edits) > 0 {
		w.edts(edits)
	}
	mdia := w.open("mdia")
	at := w.full("mdhd", 1, 0)
	w.times(created)
	w.u32(t.Timescale)
	w.u64(t.end - t.start)
	w.u16(0x55c4) // "und"
	w.u16(0)
	w.close(at)
	at = w.full("hdlr", 0, 0)
	w.u32(0)
	if t.Video {
		w.b = append(w.b, "vide"...)
	} else {
		w.b = append(w.b, "soun"...)
	}
	w.zeros(12)
	w.b = append(w.b, "Glimpse\x00"...)
	w.close(at)
	w.minf(t, shift)
	w.close(mdia)
	w.close(trak)
}

func (w *boxes) tkhd(t *Table, created time.Time, duration uint64) {
	at := w.full("tkhd", 1, 3)
	w.times(created)
	w.u32(t.ID)
	w.u32(0)
	w.u64(duration)
	w.zeros(8)
	group, volume := uint16(0), uint16(0)
	if !t.Video {
		group, volume = 1, 0x100
	}
	w.u16(0)
	w.u16(group)
	w.u16(volume)
	w.u16(0)
	w.matrix()
	w.u32(uint32(t.Width) << 16)
	w.u32(uint32(t.Height) << 16)
	w.close(at)
}

func (w *boxes) edts(edits []Edit) {
	edts := w.open("edts")
	at := w.full("elst", 1, 0)
	w.u32(uint32(len(edits)))
	for _, e := range edits {
		w.u64(movieTicks(e.Duration))
		w.u64(uint64(e.Media))
		w.u32(0x10000)
	}
	w.close(at)
	w.close(edts)
}

func (w *boxes) minf(t *Table, shift int64) {
	minf := w.open("minf")
	if t.Video {
		at := w.full("vmhd", 0, 1)
		w.zeros(8)
		w.close(at)
	} else {
		at := w.full("smhd", 0, 0)
		w.zeros(4)
		w.close(at)
	}
	dinf := w.open("dinf")
	dref := w.full("dref", 0, 0)
	w.u32(1)
	at := w.full("url ", 0, 1)
	w.close(at)
	w.close(dref)
	w.close(dinf)
	stbl := w.open("stbl")
	at = w.full("stsd", 0, 0)
	w.u32(uint32(len(t.Entries)))
	for _, e := range t.Entries {
		w.b = append(w.b, e...)
	}
	w.close(at)
	w.samples(t)
	w.places(t, shift)
	w.close(stbl)
	w.close(minf)
}

// samples writes what is told of each sample: length, offset, size, key.
func (w *boxes) samples(t *Table) {
	w.spans("stts", 0, t.durations)
	plain, version := true, byte(0)
	for _, s := range t.offsets {
		plain = plain && s.value == 0
		if int32(s.value) < 0 {
			version = 1
		}
	}
	if !plain {
		w.spans("ctts", version, t.offsets)
	}
	if t.Video && t.count > 0 {
		at := w.full("stss", 0, 0)
		w.u32(uint32(len(t.keys)))
		for _, n := range t.keys {
			w.u32(n)
		}
		w.close(at)
	}
	at := w.full("stsz", 0, 0)
	w.u32(0)
	w.u32(t.count)
	for _, n := range t.sizes {
		w.u32(n)
	}
	w.close(at)
}

func (w *boxes) spans(name string, version byte, list []span) {
	at := w.full(name, version, 0)
	w.u32(uint32(len(list)))
	for _, s := range list {
		w.u32(s.n)
		w.u32(s.value)
	}
	w.close(at)
}

// places writes where the chunks are.
func (w *boxes) places(t *Table, shift int64) {
	at := w.full("stsc", 0, 0)
	count := len(w.b)
	w.u32(0)
	n := uint32(0)
	for i, c := range t.chunks {
		if i > 0 && c.samples == t.chunks[i-1].samples && c.entry == t.chunks[i-1].entry {
			continue
		}
		n++
		w.u32(uint32(i + 1))
		w.u32(c.samples)
		w.u32(c.entry)
	}
	be.PutUint32(w.b[count:], n)
	w.close(at)
	at = w.full("co64", 0, 0)
	w.u32(uint32(len(t.chunks)))
	for _, c := range t.chunks {
		w.u64(uint64(c.at + shift))
	}
	w.close(at)
}
