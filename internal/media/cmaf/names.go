package cmaf

import (
	"strconv"
	"strings"

	"glimpse/internal/media/frame"
)

// Names of files. <run>-<v|a>-i<n>.mp4 is an init, <run>-<v|a>-<number>.m4s a
// segment and <run>-<v|a>-<number>-<part>.m4s a part. A name never stands for
// other bytes: the run's random prefix sees to that, restarts included.

// FileKind says what a name stands for.
type FileKind uint8

// The kinds of file.
const (
	FileInit FileKind = iota + 1
	FileSegment
	FilePart
)

// File is a parsed name.
type File struct {
	Kind      FileKind
	Rendition *Rendition
	Number    uint64 // of the segment, or the init
	Part      int    // of a part
}

// ParseName reads a name of this store; ok is false for any other string. The
// file need not exist.
func (s *Store) ParseName(name string) (f File, ok bool) {
	rest, ok := strings.CutPrefix(name, s.prefix)
	if !ok || len(rest) < len("-v-0.m4s") || len(rest) > 48 || rest[0] != '-' || rest[2] != '-' {
		return File{}, false
	}
	switch rest[1] {
	case 'v':
		f.Rendition = s.video
	case 'a':
		f.Rendition = s.audio
	default:
		return File{}, false
	}
	rest = rest[3:]
	if n, isInit := strings.CutPrefix(rest, "i"); isInit {
		n, ok = strings.CutSuffix(n, ".mp4")
		f.Kind = FileInit
		return f, ok && number(n, 31, &f.Number)
	}
	if rest, ok = strings.CutSuffix(rest, ".m4s"); !ok {
		return File{}, false
	}
	n, part, isPart := strings.Cut(rest, "-")
	f.Kind = FileSegment
	if isPart {
		f.Kind = FilePart
		var p uint64
		if !number(part, 31, &p) {
			return File{}, false
		}
		f.Part = int(p)
	}
	return f, number(n, 63, &f.Number)
}

// number parses a decimal number in its only spelling.
func number(s string, bits int, v *uint64) bool {
	if s == "" || s[0] == '+' || (s[0] == '0' && len(s) > 1) {
		return false
	}
	n, err := strconv.ParseUint(s, 10, bits)
	*v = n
	return err == nil
}

func (r *Rendition) appendPrefix(b []byte) []byte {
	b = append(b, r.store.prefix...)
	if r.kind == frame.Video {
		return append(b, "-v-"...)
	}
	return append(b, "-a-"...)
}

// AppendInit appends the name of an init.
func (r *Rendition) AppendInit(b []byte, number int) []byte {
	b = append(r.appendPrefix(b), 'i')
	b = strconv.AppendInt(b, int64(number), 10)
	return append(b, ".mp4"...)
}

// AppendSegment appends the name of a segment.
func (r *Rendition) AppendSegment(b []byte, number uint64) []byte {
	b = strconv.AppendUint(r.appendPrefix(b), number, 10)
	return append(b, ".m4s"...)
}

// AppendPart appends the name of a part.
func (r *Rendition) AppendPart(b []byte, number uint64, part int) []byte {
	b = strconv.AppendUint(r.appendPrefix(b), number, 10)
	b = append(b, '-')
	b = strconv.AppendInt(b, int64(part), 10)
	return append(b, ".m4s"...)
}
