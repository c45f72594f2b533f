package record

import (
	"errors"
	"time"

	"glimpse/internal/media/mp4"
)

// growing is a recording's file while it grows. Write appends whole fragments:
// one that fails leaves what is there as it was, and may be written again. For
// one goroutine.
type growing struct {
	f        file
	end      int64 // behind the last whole fragment
	sequence uint32
	tables   []*mp4.Table
	buf      []byte
	runs     []mp4.Run
}

// begin makes a file of a first fragment. When that fails there is no file.
func begin(d disk, name string, fr *fragment) (*growing, error) {
	f, err := d.Create(name)
	if err != nil {
		return nil, err
	}
	g := &growing{f: f, buf: mp4.Header()}
	for _, t := range fr.tracks {
		g.tables = append(g.tables, &mp4.Table{Track: t})
	}
	if err := g.put(fr); err != nil {
		return nil, errors.Join(err, f.Close(), d.Remove(name))
	}
	return g, nil
}

// Write appends a fragment, behind silence where sound is missing before it.
func (g *growing) Write(fr *fragment) error {
	g.buf = g.buf[:0]
	return g.put(fr)
}

// put writes the buffer and a fragment behind it.
func (g *growing) put(fr *fragment) error {
	g.buf = append(g.buf, fr.init...)
	g.runs = g.runs[:0]
	if quiet := g.quiet(fr); quiet != nil {
		g.fragment(fr.tracks, []mp4.Run{quiet.run}, quiet.payloads)
	}
	g.fragment(fr.tracks, append([]mp4.Run(nil), fr.runs...), fr.payloads)
	if err := writeAt(g.f, g.buf, g.end); err != nil {
		return err
	}
	g.end += int64(len(g.buf))
	for i := range g.runs {
		r := &g.runs[i]
		t := g.tables[r.Track]
		t.Track = fr.tracks[r.Track]
		t.Add(r, fr.entries[r.Track])
	}
	if cap(g.buf) > 4<<20 { // of one large picture
		g.buf = nil
	}
	return nil
}

// fragment appends one to the buffer and notes its runs.
func (g *growing) fragment(tracks []mp4.Track, runs []mp4.Run, payloads [][]byte) {
	at := g.end + int64(len(g.buf))
	g.sequence++
	g.buf = mp4.AppendFragment(g.buf, g.sequence, tracks, runs)
	for _, p := range payloads {
		g.buf = append(g.buf, p...)
	}
	for i := range runs {
		runs[i].At += at
	}
	g.runs = append(g.runs, runs...)
}

// quiet is the silence up to a fragment's sound, nil when none is missing.
func (g *growing) quiet(fr *fragment) *lane {
	t := g.tables[audio]
	if fr.still == 0 || fr.silence == nil {
		return nil
	}
	for i := range fr.runs {
		r := &fr.runs[i]
		if r.Track != audio || t.Samples() == 0 || r.Time < t.End()+2*fr.still {
			continue
		}
		l := &lane{run: mp4.Run{Track: audio, Time: t.End()}}
		for at := t.End(); at+fr.still <= r.Time; at += fr.still {
			l.run.Samples = append(l.run.Samples, mp4.Sample{Size: uint32(len(fr.silence)), Duration: uint32(fr.still), Key: true})
			l.payloads = append(l.payloads, fr.silence)
		}
		return l
	}
	return nil
}

// writeTries is how often a write is tried at once: some disks fail now and then.
const writeTries = 3

// writeAt writes b whole.
func writeAt(f file, b []byte, at int64) (err error) {
	for range writeTries {
		if _, err = f.WriteAt(b, at); err == nil || isFull(err) {
			return err
		}
	}
	return err
}

// seal finishes a file that ends at end: its moov first, and only when that is
// on the disk the header that makes it the file's. It closes nothing.
func seal(f file, end int64, tables []*mp4.Table, created time.Time) (size int64, err error) {
	moov := mp4.AppendMovie(nil, tables, created, nil, 0)
	if err := f.Truncate(end); err != nil {
		return 0, err
	}
	if err := writeAt(f, moov, end); err != nil {
		return 0, errors.Join(err, f.Truncate(end)) // room for others; whole fragments play without
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	at, header := mp4.Seal(end)
	for _, half := range [][2]int64{{8, 16}, {0, 8}} { // the length first: it means nothing in a free box
		if err := writeAt(f, header[half[0]:half[1]], at+half[0]); err != nil {
			return 0, err
		}
	}
	return end + int64(len(moov)), f.Sync()
}
