package record

import (
	"io"
	"time"

	"glimpse/internal/media/mp4"
)

// cutting is what a clip is made of: samples of both tracks under one set of
// parameters. Times are on the media's own line.
type cutting struct {
	tracks   [2]mp4.Track
	pieces   []piece
	from, to time.Duration // what is shown: exact, wherever key frames are
	wall     time.Time     // of from
	video    string        // the codecs' names
	sound    string
	problem  string // of the clip, for people
}

// piece is samples whose bytes lie together, in memory or in a file.
type piece struct {
	run  mp4.Run
	data []byte // of the samples, or nil: they are in the file at run.At
}

func (p *piece) size() int64 {
	n := int64(0)
	for i := range p.run.Samples {
		n += int64(p.run.Samples[i].Size)
	}
	return n
}

// cut returns the samples [i, j) of a piece.
func (p piece) cut(i, j int) piece {
	skip := piece{run: mp4.Run{Samples: p.run.Samples[:i]}}
	bytes := skip.size()
	p.run.Time += skip.run.Ticks()
	p.run.At += bytes
	p.run.Samples = p.run.Samples[i:j]
	if p.data != nil {
		p.data = p.data[bytes : bytes+p.size()]
	}
	return p
}

// snapMost is how long a picture may be shown already when a clip begins with it.
const snapMost = 250 * time.Millisecond

// trim keeps what is needed to show the time from c.from to c.to: pictures from
// the last key frame that is shown by then. A clip begins with a whole picture, so
// that it is up to one picture earlier: players do not agree on what an edit within a
// picture means, and some show all others earlier, beside their sound. One that would
// begin before its first key frame begins there. It reports whether anything is left.
func (c *cutting) trim() bool {
	begin, found := uint64(0), false
	v := &c.tracks[video]
	first, picture := time.Duration(-1), time.Duration(-1)
	for _, p := range c.pieces {
		if p.run.Track != video {
			continue
		}
		at := p.run.Time
		for _, s := range p.run.Samples {
			shown := v.Time(uint64(max(0, int64(at)+int64(s.Offset))))
			if shown <= c.from {
				picture = max(picture, shown)
			}
			if s.Key {
				if first < 0 {
					first = shown
				}
				if !found || shown <= c.from {
					begin, found = at, true
				}
			}
			at += uint64(s.Duration)
		}
	}
	if !found {
		return false
	}
	if early := c.from - picture; picture >= 0 && early <= snapMost {
		c.wall, c.from, c.to = c.wall.Add(-early), picture, c.to-early
	}
	if c.from < first {
		c.wall = c.wall.Add(first - c.from)
		c.from = first
	}
	if c.to <= c.from {
		return false
	}
	var kept []piece
	for _, p := range c.pieces {
		t := &c.tracks[p.run.Track]
		from, to := begin, t.Ticks(c.to)
		if p.run.Track == audio {
			from = t.Ticks(c.from)
		}
		i, j, at := 0, 0, p.run.Time
		for _, s := range p.run.Samples {
			if at+uint64(s.Duration) <= from {
				i++
			}
			if at < to {
				j++
			}
			at += uint64(s.Duration)
		}
		if i < j {
			kept = append(kept, p.cut(i, j))
		}
	}
	c.pieces = kept
	return len(kept) > 0
}

// write writes the clip as progressive MP4, index first, and returns its size.
// Pieces without bytes are read from src.
func (c *cutting) write(f file, src io.ReaderAt) (size int64, err error) {
	tables := []*mp4.Table{{Track: c.tracks[video]}, {Track: c.tracks[audio]}}
	at := int64(0)
	for i := range c.pieces {
		p := c.pieces[i]
		p.run.At = at
		tables[p.run.Track].Add(&p.run, 0)
		at += p.size()
	}
	var edits [][]mp4.Edit
	for _, t := range tables {
		edits = append(edits, c.edit(t))
	}
	head := mp4.Header()
	moov := mp4.AppendMovie(nil, tables, c.wall, edits, 0)
	data := int64(len(head) + len(moov) + 16)
	head = mp4.AppendMovie(head, tables, c.wall, edits, data)
	head = mp4.AppendData(head, at)
	out := &appender{f: f}
	if _, err := out.Write(head); err != nil {
		return 0, err
	}
	for i := range c.pieces {
		p := &c.pieces[i]
		if p.data != nil {
			_, err = out.Write(p.data)
		} else {
			_, err = io.Copy(out, io.NewSectionReader(src, p.run.At, p.size()))
		}
		if err != nil {
			return 0, err
		}
	}
	return out.at, nil
}

// edit shows a track exactly from c.from to c.to.
func (c *cutting) edit(t *mp4.Table) []mp4.Edit {
	length := c.to - c.from
	start := t.Time(t.Start())
	if t.Samples() == 0 {
		return nil
	}
	if start <= c.from {
		return []mp4.Edit{{Duration: length, Media: int64(t.Ticks(c.from) - t.Start())}}
	}
	return []mp4.Edit{{Duration: start - c.from, Media: -1}, {Duration: length - (start - c.from), Media: 0}}
}

// appender writes one behind the other.
type appender struct {
	f  file
	at int64
}

// Write implements io.Writer.
func (a *appender) Write(b []byte) (int, error) {
	if err := writeAt(a.f, b, a.at); err != nil {
		return 0, err
	}
	a.at += int64(len(b))
	return len(b), nil
}
