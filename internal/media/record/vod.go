package record

import (
	"io"
	"math"
	"strconv"
	"sync"
	"time"

	"glimpse/internal/media/mp4"
)

// segmentLength is how long a segment of HLS is at least.
const segmentLength = 4 * time.Second

// segment is fragments that HLS plays as one: key frame first.
type segment struct {
	at, size int64
	from, to time.Duration
	init     int
	broken   bool // nothing lies between it and the one before, but time
}

// segments groups a file's fragments: pure. While the file grows, the newest is
// left out: it is not complete.
func segments(f *mp4.File, growing bool) []segment {
	var list []segment
	for _, fr := range f.Fragments {
		n := len(list)
		switch {
		case n == 0, fr.Key && (fr.From-list[n-1].from >= segmentLength || fr.Init != list[n-1].init || fr.From-list[n-1].to > gapLeast):
			s := segment{at: fr.At, size: fr.Size, from: fr.From, to: fr.To, init: fr.Init}
			s.broken = n > 0 && (fr.Init != list[n-1].init || fr.From-list[n-1].to > gapLeast)
			list = append(list, s)
		default:
			s := &list[n-1]
			s.size, s.to = fr.At+fr.Size-s.at, max(s.to, fr.To)
		}
	}
	if growing && len(list) > 0 {
		list = list[:len(list)-1]
	}
	return list
}

// playlist renders segments as a media playlist (RFC 8216).
func playlist(list []segment, started time.Time, growing bool) []byte {
	longest := segmentLength
	for _, s := range list {
		longest = max(longest, s.to-s.from)
	}
	b := []byte("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:")
	b = strconv.AppendInt(b, int64(math.Ceil(longest.Seconds())), 10)
	if growing {
		b = append(b, "\n#EXT-X-PLAYLIST-TYPE:EVENT"...)
	} else {
		b = append(b, "\n#EXT-X-PLAYLIST-TYPE:VOD"...)
	}
	b = append(b, "\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MEDIA-SEQUENCE:0\n"...)
	init := -1
	for i, s := range list {
		if s.broken {
			b = append(b, "#EXT-X-DISCONTINUITY\n"...)
		}
		if s.init != init {
			init = s.init
			b = append(b, "#EXT-X-MAP:URI=\"i"...)
			b = strconv.AppendInt(b, int64(init), 10)
			b = append(b, ".mp4\"\n"...)
		}
		if i == 0 || s.broken {
			b = append(b, "#EXT-X-PROGRAM-DATE-TIME:"...)
			b = started.Add(s.from).UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
			b = append(b, '\n')
		}
		length := s.to - s.from
		if i+1 < len(list) && !list[i+1].broken {
			length = list[i+1].from - s.from
		}
		b = append(b, "#EXTINF:"...)
		b = strconv.AppendFloat(b, length.Seconds(), 'f', 5, 64)
		b = append(b, ",\n"...)
		b = strconv.AppendInt(b, int64(i), 10)
		b = append(b, ".m4s\n"...)
	}
	if !growing {
		b = append(b, "#EXT-X-ENDLIST\n"...)
	}
	return b
}

// initOf is an init segment of a file.
func initOf(r io.ReaderAt, f *mp4.File, n int) ([]byte, error) {
	b := mp4.Header()
	b = b[:len(b)-16] // ftyp alone
	moov := make([]byte, f.Inits[n].Size)
	if _, err := r.ReadAt(moov, f.Inits[n].At); err != nil {
		return nil, err
	}
	return append(b, moov...), nil
}

// maxScans bounds the indexes that are kept of recordings that are played.
const maxScans = 16

// scans keeps what was found in files, for their players' next requests.
type scans struct {
	mu   sync.Mutex
	byID map[string]scan
}

type scan struct {
	size int64
	file *mp4.File
}

// of returns the index of a file of at least that size, or what scans it.
func (c *scans) of(id string, r io.ReaderAt, size int64) (*mp4.File, error) {
	c.mu.Lock()
	have, ok := c.byID[id]
	c.mu.Unlock()
	if ok && have.size == size {
		return have.file, nil
	}
	f, err := mp4.Scan(r, size)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID == nil {
		c.byID = map[string]scan{}
	}
	for other := range c.byID {
		if len(c.byID) < maxScans {
			break
		}
		delete(c.byID, other)
	}
	c.byID[id] = scan{size, f}
	return f, nil
}
