package source

import (
	"encoding/binary"
	"time"
)

// mp4Track is a trak box taken apart; tables are the boxes' bytes behind
// version and flags.
type mp4Track struct {
	movieScale, mediaScale uint32
	fileSize               int64
	handler                string // "vide", "soun"
	format                 string // of the first sample description
	entry                  []byte // its contents
	elst                   []byte // whole box: its version matters
	stts, ctts, stsc, stsz []byte
	stss                   []byte // nil: all samples are key frames
	stco, co64             []byte
}

func (t *mp4Track) parse(trak []byte) error {
	mdia, err := child(trak, "mdia")
	if err != nil {
		return err
	}
	hdlr, err := child(mdia, "hdlr")
	if err != nil {
		return err
	}
	if len(hdlr) < 12 {
		return malformed("a track does not say what it is")
	}
	if t.handler = string(hdlr[8:12]); t.handler != "vide" && t.handler != "soun" {
		return nil // subtitles, time codes
	}
	mdhd, err := child(mdia, "mdhd")
	if err != nil {
		return err
	}
	if t.mediaScale, err = timescale(mdhd); err != nil {
		return err
	}
	if t.elst, err = child(trak, "edts", "elst"); err != nil {
		return err
	}
	stbl, err := child(mdia, "minf", "stbl")
	if err != nil {
		return err
	}
	for len(stbl) > 0 {
		kind, body, rest, err := nextBox(stbl)
		if err != nil {
			return err
		}
		stbl = rest
		if len(body) < 4 {
			continue
		}
		if err := t.table(kind, body[4:]); err != nil {
			return err
		}
	}
	return nil
}

func (t *mp4Track) table(kind string, b []byte) error {
	switch kind {
	case "stsd":
		if len(b) < 4 {
			return malformed("a sample description is cut short")
		}
		var err error
		t.format, t.entry, _, err = nextBox(b[4:])
		return err
	case "stts":
		t.stts = b
	case "ctts":
		t.ctts = b
	case "stsc":
		t.stsc = b
	case "stsz":
		t.stsz = b
	case "stss":
		t.stss = b
	case "stco":
		t.stco = b
	case "co64":
		t.co64 = b
	}
	return nil
}

// entries checks a table of n-byte entries behind a 32-bit count and returns
// the entries.
func entries(b []byte, n int, name string) ([]byte, error) {
	if len(b) < 4 {
		return nil, malformed("its %s table is missing", name)
	}
	count := uint64(binary.BigEndian.Uint32(b))
	if b = b[4:]; count*uint64(n) > uint64(len(b)) {
		return nil, malformed("its %s table is cut short", name)
	}
	return b[:count*uint64(n)], nil
}

// samples joins the tables into an index and tells the track's end.
func (t *mp4Track) samples() (list []sample, end time.Duration, err error) {
	if list, err = t.sizes(); err != nil {
		return nil, 0, err
	}
	if err := t.offsets(list); err != nil {
		return nil, 0, err
	}
	if end, err = t.times(list); err != nil {
		return nil, 0, err
	}
	return list, end, t.keys(list)
}

// sizes reads stsz: the only table that says how many samples there are.
func (t *mp4Track) sizes() ([]sample, error) {
	if len(t.stsz) < 8 {
		return nil, malformed("its sample size table is missing")
	}
	uniform := binary.BigEndian.Uint32(t.stsz)
	n := int64(binary.BigEndian.Uint32(t.stsz[4:]))
	// A sample has at least a byte, so the file bounds their number too.
	if n == 0 || n > maxSamples || n > t.fileSize {
		return nil, malformed("a track of %d samples; 1 to %d", n, maxSamples)
	}
	var table []byte
	if uniform == 0 {
		var err error
		if table, err = entries(t.stsz[4:], 4, "sample size"); err != nil {
			return nil, err
		}
	}
	list := make([]sample, n)
	for i := range list {
		size := uniform
		if uniform == 0 {
			size = binary.BigEndian.Uint32(table[4*i:])
		}
		if size == 0 || size > maxSampleSize {
			return nil, malformed("a sample of %d bytes; 1 to %d", size, maxSampleSize)
		}
		list[i].size = size
	}
	return list, nil
}

// offsets walks the chunks (stsc, stco or co64).
func (t *mp4Track) offsets(list []sample) error {
	runs, err := entries(t.stsc, 12, "sample to chunk")
	if err != nil {
		return err
	}
	width, table := 4, t.stco
	if table == nil {
		width, table = 8, t.co64
	}
	chunks, err := entries(table, width, "chunk offset")
	if err != nil {
		return err
	}
	next, run := 0, 0
	for c := 0; c*width < len(chunks) && next < len(list); c++ {
		for (run+1)*12 < len(runs) && binary.BigEndian.Uint32(runs[(run+1)*12:]) <= uint32(c+1) {
			run++
		}
		if len(runs) == 0 {
			return malformed("its sample to chunk table is empty")
		}
		var pos int64
		if width == 4 {
			pos = int64(binary.BigEndian.Uint32(chunks[c*4:]))
		} else {
			pos = int64(binary.BigEndian.Uint64(chunks[c*8:]))
		}
		for range binary.BigEndian.Uint32(runs[run*12+4:]) {
			if next == len(list) {
				break
			}
			if pos < 0 || pos > t.fileSize-int64(list[next].size) {
				return malformed("a sample lies outside the file (was it cut short?)")
			}
			list[next].offset = pos
			pos += int64(list[next].size)
			next++
		}
	}
	if next < len(list) {
		return malformed("its chunks hold %d of %d samples", next, len(list))
	}
	return nil
}

// times walks stts and ctts and applies the edit list.
func (t *mp4Track) times(list []sample) (time.Duration, error) {
	stts, err := entries(t.stts, 8, "time")
	if err != nil {
		return 0, err
	}
	var ctts []byte
	if t.ctts != nil {
		if ctts, err = entries(t.ctts, 8, "composition time"); err != nil {
			return 0, err
		}
	}
	shift, err := t.edit()
	if err != nil {
		return 0, err
	}
	deltas, offsets := runs{table: stts}, runs{table: ctts}
	now := int64(0)
	for i := range list {
		s := &list[i]
		if s.dts, err = scale(now, t.mediaScale); err != nil {
			return 0, err
		}
		// Version 0 is unsigned, but writers put negative numbers there too.
		if s.pts, err = scale(now+int64(int32(offsets.next())), t.mediaScale); err != nil {
			return 0, err
		}
		s.dts += shift
		s.pts += shift
		now += int64(deltas.next())
	}
	end, err := scale(now, t.mediaScale)
	return end + shift, err
}

// runs iterates over run-length pairs (count, value); past the end it stays at 0.
type runs struct {
	table []byte
	left  uint32
	value uint32
}

func (r *runs) next() uint32 {
	for r.left == 0 {
		if len(r.table) < 8 {
			return 0
		}
		r.left, r.value = binary.BigEndian.Uint32(r.table), binary.BigEndian.Uint32(r.table[4:])
		r.table = r.table[8:]
	}
	r.left--
	return r.value
}

// edit is the shift that the edit list asks for: what is to be waited at the
// start, less the media time that is to be skipped (encoder delay).
func (t *mp4Track) edit() (time.Duration, error) {
	if len(t.elst) < 4 {
		return 0, nil
	}
	size, long := 12, t.elst[0] == 1
	if long {
		size = 20
	}
	list, err := entries(t.elst[4:], size, "edit")
	if err != nil {
		return 0, err
	}
	var shift time.Duration
	for ; len(list) > 0; list = list[size:] {
		wait, media := int64(binary.BigEndian.Uint32(list)), int64(int32(binary.BigEndian.Uint32(list[4:])))
		if long {
			wait, media = int64(binary.BigEndian.Uint64(list)), int64(binary.BigEndian.Uint64(list[8:]))
		}
		if media != -1 {
			skip, err := scale(media, t.mediaScale)
			return shift - skip, err
		}
		d, err := scale(wait, t.movieScale)
		if err != nil {
			return 0, err
		}
		if shift += d; shift > maxLength {
			return 0, malformed("it is longer than %v", maxLength)
		}
	}
	return shift, nil
}

// keys marks the samples in stss; without it all are key frames.
func (t *mp4Track) keys(list []sample) error {
	if t.stss == nil {
		for i := range list {
			list[i].key = true
		}
		return nil
	}
	table, err := entries(t.stss, 4, "key frame")
	if err != nil {
		return err
	}
	for ; len(table) > 0; table = table[4:] {
		n := int64(binary.BigEndian.Uint32(table))
		if n < 1 || n > int64(len(list)) {
			return malformed("its key frame table names sample %d of %d", n, len(list))
		}
		list[n-1].key = true
	}
	return nil
}
