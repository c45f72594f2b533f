package source

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

// The limits of an MP4 file's structure.
const (
	maxMoov     = 64 << 20
	maxTopBoxes = 10_000
	maxTraks    = 16
)

var errFragmented = malformed("it is a fragmented MP4; make a plain one with: ffmpeg -i IN -c copy OUT.mp4")

// indexMP4 reads the movie box of an ISO base media file (ISO/IEC 14496-12)
// and makes the index of its first H.264 track and its first of each codec of sound.
func (f *File) indexMP4(size int64) error {
	moov, err := readMoov(f.r, size)
	if err != nil {
		return err
	}
	timescale, err := movieTimescale(moov)
	if err != nil {
		return err
	}
	mvex, err := child(moov, "mvex")
	if err != nil {
		return err
	}
	if mvex != nil {
		return errFragmented
	}
	traks := 0
	for len(moov) > 0 {
		kind, body, rest, err := nextBox(moov)
		if err != nil {
			return err
		}
		moov = rest
		if kind != "trak" {
			continue
		}
		if traks++; traks > maxTraks {
			return malformed("it has more than %d tracks", maxTraks)
		}
		t := mp4Track{movieScale: timescale, fileSize: size}
		if err := f.addTrak(&t, body); err != nil {
			return err
		}
	}
	if f.video == nil {
		return malformed("it has no H.264 video")
	}
	return nil
}

func (f *File) addTrak(t *mp4Track, trak []byte) error {
	if err := t.parse(trak); err != nil {
		return err
	}
	switch {
	case t.handler == "vide" && f.video == nil:
		c, lengthSize, err := t.h264()
		if err != nil {
			return err
		}
		if f.pictures, f.period, err = t.samples(); err != nil {
			return err
		}
		f.video, f.lengthSize = &frame.Track{Codec: c}, lengthSize
	case t.handler == "soun":
		c, err := t.soundCodec()
		if err != nil {
			return err
		}
		samples, _, err := t.samples()
		if err != nil {
			return err
		}
		return f.addSound(c, samples)
	}
	return nil
}

// readMoov walks the top-level boxes and returns the movie box's contents.
func readMoov(r io.ReaderAt, size int64) ([]byte, error) {
	var head [16]byte
	pos := int64(0)
	for range maxTopBoxes {
		if pos+8 > size {
			return nil, malformed("it has no movie box")
		}
		n, err := r.ReadAt(head[:min(16, size-pos)], pos)
		if err != nil && n < 8 {
			return nil, fmt.Errorf("read source: %w", err)
		}
		length, header := int64(binary.BigEndian.Uint32(head[:])), int64(8)
		switch {
		case length == 0: // to the end of the file
			length = size - pos
		case length == 1 && n == 16:
			length, header = int64(binary.BigEndian.Uint64(head[8:])), 16
		}
		if length < header || length > size-pos {
			return nil, malformed("a box does not fit into the file (was it cut short?)")
		}
		switch string(head[4:8]) {
		case "moof":
			return nil, errFragmented
		case "moov":
			if length-header > maxMoov {
				return nil, malformed("its movie box is larger than %d MiB", maxMoov>>20)
			}
			b := make([]byte, length-header)
			if _, err := r.ReadAt(b, pos+header); err != nil {
				return nil, fmt.Errorf("read source: %w", err)
			}
			return b, nil
		}
		pos += length
	}
	return nil, malformed("it has more than %d boxes", maxTopBoxes)
}

// nextBox splits the first box off b.
func nextBox(b []byte) (kind string, body, rest []byte, err error) {
	if len(b) < 8 {
		return "", nil, nil, malformed("a box is cut short")
	}
	n, header := uint64(binary.BigEndian.Uint32(b)), uint64(8)
	switch {
	case n == 0:
		n = uint64(len(b))
	case n == 1 && len(b) >= 16:
		n, header = binary.BigEndian.Uint64(b[8:]), 16
	}
	if n < header || n > uint64(len(b)) {
		return "", nil, nil, malformed("a box is cut short")
	}
	return string(b[4:8]), b[header:n:n], b[n:], nil
}

// child returns the contents of the first box of each kind on the way down, or
// nil when one is missing.
func child(b []byte, path ...string) ([]byte, error) {
	for _, want := range path {
		found := false
		for len(b) > 0 && !found {
			kind, body, rest, err := nextBox(b)
			if err != nil {
				return nil, err
			}
			if b = rest; kind == want {
				b, found = body, true
			}
		}
		if !found {
			return nil, nil
		}
	}
	return b, nil
}

func movieTimescale(moov []byte) (uint32, error) {
	mvhd, err := child(moov, "mvhd")
	if err != nil {
		return 0, err
	}
	return timescale(mvhd)
}

// timescale reads the time scale of an mvhd or mdhd box, which stand at the
// same place.
func timescale(b []byte) (uint32, error) {
	pos := 12
	if len(b) > 0 && b[0] == 1 {
		pos = 20
	}
	if len(b) < pos+4 {
		return 0, malformed("it says no time scale")
	}
	n := binary.BigEndian.Uint32(b[pos:])
	if n == 0 {
		return 0, malformed("its time scale is 0")
	}
	return n, nil
}

// scale turns units of a time scale into time.
func scale(v int64, timescale uint32) (time.Duration, error) {
	ts := int64(timescale)
	if v/ts > int64(maxLength/time.Second) || v/ts < -int64(maxLength/time.Second) {
		return 0, malformed("it is longer than %v", maxLength)
	}
	return time.Duration(v/ts)*time.Second + time.Duration(v%ts)*time.Second/time.Duration(ts), nil
}

// h264 reads the decoder configuration of a video track.
func (t *mp4Track) h264() (*codec.H264, int, error) {
	const visualSampleEntry = 78
	if t.format != "avc1" && t.format != "avc3" {
		return nil, 0, malformed("its video is %q; H.264 (avc1) is needed", t.format)
	}
	if len(t.entry) < visualSampleEntry {
		return nil, 0, malformed("its video has no description")
	}
	avcC, err := child(t.entry[visualSampleEntry:], "avcC")
	if err != nil {
		return nil, 0, err
	}
	c, lengthSize, err := codec.ParseAVCC(avcC)
	if err != nil {
		return nil, 0, malformed("%v", err)
	}
	return c, lengthSize, nil
}

// soundCodec reads the description of an audio track.
func (t *mp4Track) soundCodec() (frame.Codec, error) {
	const entryHeader = 28
	switch {
	case t.format != "mp4a" && t.format != "Opus":
		return nil, malformed("its sound is %q; AAC (mp4a) or Opus is needed", t.format)
	case len(t.entry) < entryHeader:
		return nil, malformed("its sound has no description")
	case t.format == "mp4a":
		return t.aac(entryHeader)
	}
	dops, err := child(t.entry[entryHeader:], "dOps")
	if err != nil {
		return nil, err
	}
	// Encapsulation of Opus in ISO base media, 4.3.2: version 0, then channels.
	if len(dops) < 11 || dops[0] != 0 || dops[1] < 1 || dops[1] > 2 {
		return nil, malformed("its Opus sound has not one or two channels")
	}
	return &codec.Opus{Channels: int(dops[1])}, nil
}

// aac reads the AudioSpecificConfig of an audio track, which stands behind skip
// bytes, or more.
func (t *mp4Track) aac(skip int) (*codec.AAC, error) {
	switch binary.BigEndian.Uint16(t.entry[8:]) { // QuickTime's longer descriptions
	case 1:
		skip += 16
	case 2:
		skip += 36
	}
	if len(t.entry) < skip {
		return nil, malformed("its sound has no description")
	}
	esds, err := child(t.entry[skip:], "esds")
	if err != nil {
		return nil, err
	}
	config, err := decoderSpecificInfo(esds)
	if err != nil {
		return nil, err
	}
	c, err := codec.NewAAC(config)
	if err != nil {
		return nil, malformed("%v", err)
	}
	return c, nil
}

// decoderSpecificInfo digs the decoder's parameters out of an esds box
// (ISO/IEC 14496-1 §7.2.6): ES descriptor, decoder configuration, the bytes.
func decoderSpecificInfo(b []byte) ([]byte, error) {
	short := malformed("its sound's description is cut short")
	if len(b) < 4 {
		return nil, short
	}
	b = b[4:]
	for _, level := range []struct {
		tag  byte
		skip int // of the fixed fields before the next descriptor
	}{{3, 3}, {4, 13}, {5, 0}} {
		body, ok := descriptor(b, level.tag)
		if !ok || len(body) < level.skip {
			return nil, short
		}
		if level.tag == 3 {
			if body[2]&0xe0 != 0 {
				return nil, malformed("its sound's description has unusual references")
			}
		}
		b = body[level.skip:]
	}
	return b, nil
}

// descriptor returns the body of the descriptor at the start of b if it has
// the tag. Its size is written in 7-bit groups, at most four.
func descriptor(b []byte, tag byte) ([]byte, bool) {
	if len(b) < 2 || b[0] != tag {
		return nil, false
	}
	n, i := 0, 1
	for ; i < len(b) && i <= 4; i++ {
		n = n<<7 | int(b[i]&0x7f)
		if b[i]&0x80 == 0 {
			break
		}
	}
	i++
	if i > len(b) || n > len(b)-i {
		return nil, false
	}
	return b[i : i+n : i+n], true
}
