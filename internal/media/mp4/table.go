package mp4

// Table is a track with all of its samples, compactly: about 4 bytes each.
type Table struct {
	Track
	count     uint32
	end       uint64 // decoding time of what comes next
	start     uint64 // of the first sample
	durations []span
	offsets   []span
	sizes     []uint32
	keys      []uint32 // numbers of the key frames, from 1
	chunks    []chunk
}

// span is a value that several samples in a row have.
type span struct{ n, value uint32 }

// chunk is samples whose bytes lie together.
type chunk struct {
	at      int64
	samples uint32
	entry   uint32 // from 1
}

func repeat(list []span, value uint32) []span {
	if n := len(list); n > 0 && list[n-1].value == value {
		list[n-1].n++
		return list
	}
	return append(list, span{1, value})
}

// Add appends a run that uses the entry at a place. Where it begins later than
// what is there ends, the last sample lasts until then.
func (t *Table) Add(r *Run, entry int) {
	if len(r.Samples) == 0 {
		return
	}
	switch {
	case t.count == 0:
		t.start = r.Time
	case r.Time > t.end:
		t.stretch(r.Time - t.end)
	}
	t.end = max(t.end, r.Time)
	t.chunks = append(t.chunks, chunk{r.At, uint32(len(r.Samples)), uint32(entry + 1)})
	for i := range r.Samples {
		s := &r.Samples[i]
		t.count++
		t.durations = repeat(t.durations, s.Duration)
		t.offsets = repeat(t.offsets, uint32(s.Offset))
		t.sizes = append(t.sizes, s.Size)
		if s.Key {
			t.keys = append(t.keys, t.count)
		}
		t.end += uint64(s.Duration)
	}
}

// stretch makes the last sample longer.
func (t *Table) stretch(by uint64) {
	last := &t.durations[len(t.durations)-1]
	longer := uint32(min(uint64(last.value)+by, 1<<32-1))
	if last.n--; last.n == 0 {
		t.durations = t.durations[:len(t.durations)-1]
	}
	t.durations = repeat(t.durations, longer)
}

// Samples is how many there are.
func (t *Table) Samples() int { return int(t.count) }

// Start and End are the decoding times of the first sample and of what would
// follow the last, in ticks.
func (t *Table) Start() uint64 { return t.start }

// End of the track; see Start.
func (t *Table) End() uint64 { return t.end }
