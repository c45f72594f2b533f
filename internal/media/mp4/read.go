package mp4

import (
	"errors"
	"fmt"
	"io"
)

// maxBox bounds a moov or moof that is read into memory.
const maxBox = 64 << 20

var errBox = errors.New("mp4: malformed box")

// parseInit reads the tracks of a moov's payload.
func parseInit(moov []byte) ([]Track, error) {
	var tracks []Track
	for kind, trak := range each(moov) {
		if kind != "trak" {
			continue
		}
		t, err := parseTrak(trak)
		if err != nil {
			return nil, err
		}
		tracks = append(tracks, t)
	}
	if len(tracks) == 0 {
		return nil, fmt.Errorf("%w: no track", errBox)
	}
	return tracks, nil
}

func parseTrak(trak []byte) (t Track, err error) {
	tkhd, mdhd, hdlr := find(trak, "tkhd"), find(trak, "mdia", "mdhd"), find(trak, "mdia", "hdlr")
	stsd := find(trak, "mdia", "minf", "stbl", "stsd")
	if len(tkhd) < 84 || len(mdhd) < 24 || len(hdlr) < 12 || len(stsd) < 8 {
		return t, fmt.Errorf("%w: trak", errBox)
	}
	id, scale := tkhd[12:], mdhd[12:]
	if tkhd[0] == 1 {
		id = tkhd[20:]
	}
	if mdhd[0] == 1 {
		scale = mdhd[20:]
	}
	t.ID, t.Timescale = be.Uint32(id), be.Uint32(scale)
	t.Video = string(hdlr[8:12]) == "vide"
	t.Width, t.Height = int(be.Uint16(tkhd[len(tkhd)-8:])), int(be.Uint16(tkhd[len(tkhd)-4:]))
	for b := stsd[8:]; len(b) >= 8; {
		n := int64(be.Uint32(b))
		if n < 16 || n > int64(len(b)) {
			return t, fmt.Errorf("%w: stsd", errBox)
		}
		t.Entries = append(t.Entries, b[:n:n])
		b = b[n:]
	}
	if t.Timescale == 0 || len(t.Entries) == 0 {
		return t, fmt.Errorf("%w: trak", errBox)
	}
	return t, nil
}

// parseFragment reads the runs of a moof's payload; their At counts from the
// moof's first byte.
func parseFragment(moof []byte, tracks []Track) ([]Run, error) {
	var runs []Run
	for kind, traf := range each(moof) {
		if kind != "traf" {
			continue
		}
		r, err := parseTraf(traf, tracks)
		if err != nil {
			return nil, err
		}
		runs = append(runs, r)
	}
	return runs, nil
}

func parseTraf(traf []byte, tracks []Track) (r Run, err error) {
	tfhd, tfdt, trun := find(traf, "tfhd"), find(traf, "tfdt"), find(traf, "trun")
	if len(tfhd) < 8 || len(tfdt) < 8 || len(trun) < 12 {
		return r, fmt.Errorf("%w: traf", errBox)
	}
	r.Track = -1
	for i := range tracks {
		if tracks[i].ID == be.Uint32(tfhd[4:]) {
			r.Track = i
		}
	}
	switch {
	case r.Track < 0:
		return r, fmt.Errorf("%w: traf of an unknown track", errBox)
	case tfdt[0] == 0:
		r.Time = uint64(be.Uint32(tfdt[4:]))
	case len(tfdt) < 12:
		return r, fmt.Errorf("%w: tfdt", errBox)
	default:
		r.Time = be.Uint64(tfdt[4:])
	}
	flags, n := be.Uint32(trun)&0xffffff, int(be.Uint32(trun[4:]))
	if flags&(trunDataOffset|trunDuration|trunSize) != trunDataOffset|trunDuration|trunSize {
		return r, fmt.Errorf("%w: trun without sizes", errBox)
	}
	r.At = int64(int32(be.Uint32(trun[8:])))
	size := 8
	if flags&trunFlags != 0 {
		size += 4
	}
	if flags&trunOffset != 0 {
		size += 4
	}
	rows := trun[12:]
	if n < 0 || n > len(rows)/size || r.At < 0 {
		return r, fmt.Errorf("%w: trun", errBox)
	}
	r.Samples = make([]Sample, n)
	for i := range r.Samples {
		row := rows[i*size:]
		s := Sample{Duration: be.Uint32(row), Size: be.Uint32(row[4:]), Key: true}
		row = row[8:]
		if flags&trunFlags != 0 {
			s.Key = be.Uint32(row)&0x10000 == 0
			row = row[4:]
		}
		if flags&trunOffset != 0 {
			s.Offset = int32(be.Uint32(row))
		}
		r.Samples[i] = s
	}
	return r, nil
}

// readBox reads the payload of the box at a place, whose whole size is known.
func readBox(r io.ReaderAt, at, size int64) ([]byte, error) {
	if size < 8 || size > maxBox {
		return nil, errBox
	}
	b := make([]byte, size-8)
	if _, err := r.ReadAt(b, at+8); err != nil {
		return nil, err
	}
	return b, nil
}

// Part reads a part of CMAF: one moof of one track with its mdat. The run's At
// counts from the first byte.
func Part(b []byte) (Run, error) {
	n, kind := int64(0), ""
	if len(b) >= 8 {
		n, kind = int64(be.Uint32(b)), string(b[4:8])
	}
	if kind != "moof" || n < 8 || n > int64(len(b)) {
		return Run{}, errBox
	}
	traf := find(b[8:n], "traf")
	r, err := parseTraf(traf, []Track{{ID: 1}})
	if err == nil && r.At+r.size() > int64(len(b)) {
		err = errBox
	}
	return r, err
}
