package source

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

// FLV's words (Adobe Flash Video File Format 10.1, annex E.4).
const (
	flvAudioTag  = 8
	flvVideoTag  = 9
	flvTagHeader = 11
	flvAVC       = 7
	flvAAC       = 10
	maxFLVConfig = 64 << 10
)

// indexFLV walks the tags of an FLV file. A last tag that is cut short, as a
// recorder leaves it when it is killed, is passed over.
func (f *File) indexFLV(size int64) error {
	r := &flvReader{r: bufio.NewReaderSize(io.NewSectionReader(f.r, 0, size), 64<<10), size: size}
	if err := r.header(); err != nil {
		return err
	}
	for {
		tag, err := r.tag()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return f.endFLV()
		case err != nil:
			return err
		}
		switch tag.kind {
		case flvVideoTag:
			err = f.flvVideo(tag)
		case flvAudioTag:
			err = f.flvAudio(tag)
		}
		if err != nil {
			return err
		}
	}
}

func (f *File) endFLV() error {
	if f.video == nil {
		return malformed("it has no H.264 video")
	}
	return nil // the period is unknown: normalise takes the mean distance of pictures
}

// flvTag is one tag: head are the first bytes of its body, or all of it when
// it is a codec configuration.
type flvTag struct {
	kind   byte
	at     time.Duration
	offset int64 // of the body
	size   int64 // of the body
	head   []byte
}

type flvReader struct {
	r    *bufio.Reader
	pos  int64
	size int64
	unwrapped
}

func (r *flvReader) skip(n int64) error {
	for n > 0 {
		d, err := r.r.Discard(int(min(n, 1<<30)))
		r.pos += int64(d)
		n -= int64(d)
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *flvReader) header() error {
	b, err := r.r.Peek(9)
	if err != nil {
		return malformed("its header is cut short")
	}
	offset := binary.BigEndian.Uint32(b[5:])
	if offset < 9 || offset > 1<<16 {
		return malformed("its header is %d bytes long", offset)
	}
	if err := r.skip(int64(offset) + 4); err != nil { // and the size of the tag before the first
		return malformed("it has no tags")
	}
	return nil
}

// tag reads the next tag's header and the start of its body, and passes over
// the rest.
func (r *flvReader) tag() (flvTag, error) {
	h, err := r.r.Peek(flvTagHeader)
	if err != nil {
		return flvTag{}, err
	}
	t := flvTag{
		kind:   h[0] & 0x1f,
		size:   int64(h[1])<<16 | int64(h[2])<<8 | int64(h[3]),
		at:     r.unwrap(uint32(h[7])<<24 | uint32(h[4])<<16 | uint32(h[5])<<8 | uint32(h[6])),
		offset: r.pos + flvTagHeader,
	}
	if h[0]&0x20 != 0 {
		return flvTag{}, malformed("it is encrypted")
	}
	if t.offset+t.size > r.size {
		return flvTag{}, io.ErrUnexpectedEOF
	}
	want := min(t.size, 5)
	body, err := r.r.Peek(flvTagHeader + int(want))
	if err != nil {
		return flvTag{}, err
	}
	if isConfig(t.kind, body[flvTagHeader:]) {
		if t.size > maxFLVConfig-flvTagHeader {
			return flvTag{}, malformed("a codec configuration of %d bytes", t.size)
		}
		if body, err = r.r.Peek(flvTagHeader + int(t.size)); err != nil {
			return flvTag{}, err
		}
	}
	t.head = bytes.Clone(body[flvTagHeader:])
	if err := r.skip(flvTagHeader + t.size + 4); err != nil && !errors.Is(err, io.EOF) {
		return flvTag{}, err
	}
	return t, nil
}

func isConfig(kind byte, head []byte) bool {
	return len(head) > 1 && head[1] == 0 &&
		(kind == flvVideoTag && head[0]&0x8f == flvAVC || kind == flvAudioTag && head[0]>>4 == flvAAC)
}

func (f *File) flvVideo(t flvTag) error {
	if len(t.head) < 5 {
		return nil
	}
	if t.head[0]&0x8f != flvAVC {
		return malformed("its video is not H.264")
	}
	switch t.head[1] {
	case 0:
		c, lengthSize, err := codec.ParseAVCC(t.head[5:])
		if err != nil {
			return malformed("%v", err)
		}
		if f.video != nil && !f.video.Codec.(*codec.H264).Equal(c) {
			return malformed("its picture parameters change at %v", t.at)
		}
		f.video, f.lengthSize = &frame.Track{Codec: c}, lengthSize
	case 1:
		if f.video == nil || t.size == 5 {
			return nil // nothing can be done with it
		}
		cts := time.Duration(int32(uint32(t.head[2])<<24|uint32(t.head[3])<<16|uint32(t.head[4])<<8)>>8) * time.Millisecond
		return appendSample(&f.pictures, sample{
			offset: t.offset + 5, size: uint32(t.size - 5), key: t.head[0]>>4&7 == 1, dts: t.at, pts: t.at + cts,
		})
	}
	return nil
}

func (f *File) flvAudio(t flvTag) error {
	if len(t.head) < 2 {
		return nil
	}
	if t.head[0]>>4 != flvAAC {
		return malformed("its sound is not AAC")
	}
	if t.head[1] == 0 {
		c, err := codec.NewAAC(t.head[2:])
		if err != nil {
			return malformed("%v", err)
		}
		if f.audio != nil && !f.audio.Codec.(*codec.AAC).Equal(c) {
			return malformed("its sound parameters change at %v", t.at)
		}
		f.audio = &frame.Track{Codec: c}
		return nil
	}
	if f.audio == nil || t.size == 2 {
		return nil
	}
	return appendSample(&f.sounds, sample{offset: t.offset + 2, size: uint32(t.size - 2), dts: t.at, pts: t.at})
}

func appendSample(list *[]sample, s sample) error {
	if len(*list) == maxSamples {
		return malformed("a track has more than %d samples", maxSamples)
	}
	if s.size > maxSampleSize {
		return malformed("a sample of %d bytes; at most %d", s.size, maxSampleSize)
	}
	*list = append(*list, s)
	return nil
}

// unwrapped follows a 32-bit millisecond clock over its end.
type unwrapped struct {
	last    uint32
	high    time.Duration
	started bool
}

func (u *unwrapped) unwrap(ms uint32) time.Duration {
	const turn = (1 << 32) * time.Millisecond
	if u.started && ms < u.last && u.last-ms > 1<<31 {
		u.high += turn
	}
	u.started, u.last = true, ms
	return min(u.high+time.Duration(ms)*time.Millisecond, maxLength*8)
}
