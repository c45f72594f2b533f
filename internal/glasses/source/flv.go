package source

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/flv"
	"glimpse/internal/media/frame"
)

const (
	flvTagHeader = 11
	flvTagHead   = 8 // the most that stands before an access unit in a tag
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
		case flv.TagVideo:
			err = f.flvVideo(tag)
		case flv.TagAudio:
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
	// The period is unknown: normalise takes the mean distance of pictures.
	if s := f.sound; s.track != nil {
		return f.addSound(s.track.Codec, s.samples)
	}
	return nil
}

// flvTag is one tag of pictures or sound.
type flvTag struct {
	flv.Tag // its Data is whole for a codec configuration alone
	kind    byte
	at      time.Duration
	offset  int64 // of the access unit in the file
	size    int64 // of the access unit
}

type flvReader struct {
	r    *bufio.Reader
	pos  int64
	size int64
	flv.Clock
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
	size := int64(h[1])<<16 | int64(h[2])<<8 | int64(h[3])
	at := r.Unwrap(uint32(h[7])<<24 | uint32(h[4])<<16 | uint32(h[5])<<8 | uint32(h[6]))
	t := flvTag{kind: h[0] & 0x1f, at: max(min(at, maxLength*8), -maxLength*8)}
	if h[0]&0x20 != 0 {
		return flvTag{}, malformed("it is encrypted")
	}
	start := r.pos + flvTagHeader
	if start+size > r.size {
		return flvTag{}, io.ErrUnexpectedEOF
	}
	head := min(size, flvTagHead)
	if err := r.parse(&t, head); err != nil {
		return flvTag{}, err
	}
	if t.Packet == flv.Config {
		if size > maxFLVConfig-flvTagHeader {
			return flvTag{}, malformed("a codec configuration of %d bytes", size)
		}
		if err := r.parse(&t, size); err != nil {
			return flvTag{}, err
		}
		t.Data = bytes.Clone(t.Data)
	}
	before := head - int64(len(t.Data)) // of the access unit
	t.offset, t.size = start+before, size-before
	if err := r.skip(flvTagHeader + size + 4); err != nil && !errors.Is(err, io.EOF) {
		return flvTag{}, err
	}
	return t, nil
}

// parse parses the first n bytes of the tag's body.
func (r *flvReader) parse(t *flvTag, n int64) error {
	b, err := r.r.Peek(flvTagHeader + int(n))
	if err != nil {
		return err
	}
	switch t.kind {
	case flv.TagVideo:
		t.Tag, err = flv.ParseVideo(b[flvTagHeader:])
	case flv.TagAudio:
		t.Tag, err = flv.ParseAudio(b[flvTagHeader:])
	}
	if unsupported := (*flv.UnsupportedError)(nil); errors.As(err, &unsupported) {
		return malformed("%v", unsupported)
	}
	if name := t.Codec; name != "" && name != "H.264" && name != "AAC" {
		return malformed("its codec is %s; the simulated glasses play H.264 and AAC", name)
	}
	return nil // a tag that does not parse is passed over
}

func (f *File) flvVideo(t flvTag) error {
	switch t.Packet {
	case flv.Config:
		c, lengthSize, err := codec.ParseAVCC(t.Data)
		if err != nil {
			return malformed("%v", err)
		}
		if f.video != nil && !f.video.Codec.(*codec.H264).Equal(c) {
			return malformed("its picture parameters change at %v", t.at)
		}
		f.video, f.lengthSize = &frame.Track{Codec: c}, lengthSize
	case flv.Frame:
		if f.video == nil || t.size == 0 {
			return nil // nothing can be done with it
		}
		pts := t.at + time.Duration(t.CTS)*time.Millisecond
		return appendSample(&f.pictures, sample{offset: t.offset, size: uint32(t.size), key: t.Key, dts: t.at, pts: pts})
	}
	return nil
}

func (f *File) flvAudio(t flvTag) error {
	switch t.Packet {
	case flv.Config:
		c, err := codec.NewAAC(t.Data)
		if err != nil {
			return malformed("%v", err)
		}
		if f.sound.track != nil && !f.sound.track.Codec.(*codec.AAC).Equal(c) {
			return malformed("its sound parameters change at %v", t.at)
		}
		f.sound.track = &frame.Track{Codec: c}
	case flv.Frame:
		if f.sound.track == nil || t.size == 0 {
			return nil
		}
		return appendSample(&f.sound.samples, sample{offset: t.offset, size: uint32(t.size), dts: t.at, pts: t.at})
	}
	return nil
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
