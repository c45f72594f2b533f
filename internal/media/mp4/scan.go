package mp4

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
)

// File is what Scan found.
type File struct {
	Tables    []*Table
	Inits     []Span
	Fragments []Fragment
	// End is behind the last fragment that is whole.
	End int64
	// Sealed files have their moov and are plain MP4.
	Sealed bool
}

// Span is a place in a file.
type Span struct{ At, Size int64 }

// Fragment is one moof with its mdat.
type Fragment struct {
	Span
	Init     int           // place in Inits of the parameters in force
	Key      bool          // its pictures begin with a key frame
	From, To time.Duration // of its pictures' decoding times; of its sound when it has none
}

// ErrEmpty says that a file holds no fragment.
var ErrEmpty = errors.New("mp4: the file holds no media")

// Scan reads the fragments of a recording of that size, finished or not, up to
// the first that is not whole. Errors: ErrEmpty, a file of something else, and
// those of r.
func Scan(r io.ReaderAt, size int64) (*File, error) {
	head := make([]byte, bodyAt)
	if n, err := r.ReadAt(head, 0); n < bodyAt {
		if err == nil || errors.Is(err, io.EOF) {
			err = ErrEmpty
		}
		return nil, err
	}
	f := &File{End: bodyAt}
	switch {
	case string(head[4:8]) != "ftyp" || be.Uint32(head) != sealAt:
		return nil, fmt.Errorf("mp4: not a recording of ours")
	case string(head[sealAt+4:sealAt+8]) == "mdat":
		end := sealAt + int64(be.Uint64(head[sealAt+8:]))
		if f.Sealed = end >= bodyAt && end <= size; f.Sealed {
			size = end
		}
	}
	entries := []int{}
	for {
		next, err := f.box(r, size, &entries)
		if err != nil && !errors.Is(err, errBox) {
			return nil, err
		}
		if err != nil || next == f.End {
			break // what stands here is damaged: the file ends before it
		}
		f.End = next
	}
	if len(f.Fragments) == 0 {
		return nil, ErrEmpty
	}
	return f, nil
}

// box takes the box, or the fragment, at the end and returns where the next one
// begins: the same place when there is no whole one.
func (f *File) box(r io.ReaderAt, size int64, entries *[]int) (next int64, err error) {
	n, kind, err := boxAt(r, f.End, size)
	if n == 0 || err != nil {
		return f.End, err
	}
	switch kind {
	case "moov":
		b, err := readBox(r, f.End, n)
		if err != nil {
			return f.End, err
		}
		if find(b, "mvex") == nil {
			return f.End, nil // of a finish that did not come to its end
		}
		*entries, err = f.init(b, Span{f.End, n})
		return f.End + n, err
	case "moof":
		data, mdat, err := boxAt(r, f.End+n, size)
		if err != nil || mdat != "mdat" || data == 0 || len(f.Inits) == 0 {
			return f.End, err
		}
		b, err := readBox(r, f.End, n)
		if err != nil {
			return f.End, err
		}
		return f.End + n + data, f.fragment(b, Span{f.End, n + data}, *entries)
	}
	return f.End + n, nil
}

// boxAt reads the header of a box; n is 0 when it is not whole within size.
func boxAt(r io.ReaderAt, at, size int64) (n int64, kind string, err error) {
	var h [8]byte
	if at+8 > size {
		return 0, "", nil
	}
	if _, err := r.ReadAt(h[:], at); err != nil {
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return 0, "", err
	}
	n = int64(be.Uint32(h[:]))
	if n < 8 || at+n > size {
		return 0, "", nil // zeros, or half written
	}
	return n, string(h[4:]), nil
}

// init takes the parameters of a moov; entries are the places of those in force.
func (f *File) init(moov []byte, at Span) (entries []int, err error) {
	tracks, err := parseInit(moov)
	if err != nil {
		return nil, err
	}
	first := f.Tables == nil
	if !first && len(tracks) != len(f.Tables) {
		return nil, fmt.Errorf("%w: other tracks", errBox)
	}
	for i, t := range tracks {
		if first {
			f.Tables = append(f.Tables, &Table{Track: t})
		}
		entry := bytes.Clone(t.Entries[0])
		if first {
			f.Tables[i].Entries = nil
		}
		entries = append(entries, f.Tables[i].Use(entry))
		f.Tables[i].Width, f.Tables[i].Height = max(f.Tables[i].Width, t.Width), max(f.Tables[i].Height, t.Height)
	}
	f.Inits = append(f.Inits, at)
	return entries, nil
}

func (f *File) fragment(moof []byte, at Span, entries []int) error {
	runs, err := runsAt(moof, f.tracks(), at)
	if err != nil {
		return err
	}
	for i := range runs {
		f.Tables[runs[i].Track].Add(&runs[i], entries[runs[i].Track])
	}
	f.Fragments = append(f.Fragments, Describe(at, len(f.Inits)-1, f.tracks(), runs))
	return nil
}

// Describe is a fragment of these runs.
func Describe(at Span, init int, tracks []Track, runs []Run) Fragment {
	fr := Fragment{Span: at, Init: init}
	for i := range runs {
		r, t := &runs[i], &tracks[runs[i].Track]
		if t.Video || i == 0 {
			fr.From, fr.To = t.Time(r.Time), t.Time(r.Time+r.Ticks())
		}
		if t.Video {
			fr.Key = len(r.Samples) > 0 && r.Samples[0].Key
			break
		}
	}
	return fr
}

func (f *File) tracks() []Track {
	tracks := make([]Track, len(f.Tables))
	for i, t := range f.Tables {
		tracks[i] = t.Track
	}
	return tracks
}

// Runs reads the samples of a fragment again.
func (f *File) Runs(r io.ReaderAt, i int) ([]Run, error) {
	at := f.Fragments[i].Span
	n, _, err := boxAt(r, at.At, at.At+at.Size)
	if err != nil {
		return nil, err
	}
	moof, err := readBox(r, at.At, n)
	if err != nil {
		return nil, err
	}
	return runsAt(moof, f.tracks(), at)
}

// runsAt reads the runs of a fragment at a place.
func runsAt(moof []byte, tracks []Track, at Span) ([]Run, error) {
	runs, err := parseFragment(moof, tracks)
	if err != nil {
		return nil, err
	}
	for i := range runs {
		if runs[i].At+runs[i].size() > at.Size {
			return nil, fmt.Errorf("%w: samples outside of their fragment", errBox)
		}
		runs[i].At += at.At
	}
	return runs, nil
}

// Tracks reads the parameters of an init again: one entry a track.
func (f *File) Tracks(r io.ReaderAt, init int) ([]Track, error) {
	b, err := readBox(r, f.Inits[init].At, f.Inits[init].Size)
	if err != nil {
		return nil, err
	}
	return parseInit(b)
}
