package flv

import (
	"errors"
	"fmt"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

// Packet says what a tag carries.
type Packet uint8

// The kinds of packet. Other means something to skip: an info frame, an end of
// sequence, an empty tag.
const (
	Other Packet = iota
	Config
	Frame
)

// Tag is a parsed body. Data points into the body: the decoder configuration of
// a Config, the access unit of a Frame.
type Tag struct {
	Packet Packet
	Codec  string // its name (package codec), of a Config and a Frame
	Key    bool   // of pictures: what the container says
	CTS    int32  // composition offset in milliseconds, of pictures
	Data   []byte
}

// UnsupportedError is a codec that this server does not take.
type UnsupportedError struct {
	Codec string // for people: "VP9", "MP3"; empty for several tracks of a kind
	Video bool
}

// Error says what came and what is supported; it may be shown to anyone.
func (e *UnsupportedError) Error() string {
	kind := "audio"
	if e.Video {
		kind = "video"
	}
	if e.Codec == "" {
		return fmt.Sprintf("several %s tracks in one stream (multitrack) are not supported here: send one", kind)
	}
	return fmt.Sprintf("%s codec %s is not supported here: send %s", kind, e.Codec, codec.Supported)
}

var errShort = errors.New("flv: tag is cut short")

// The packet types of Enhanced RTMP (v2).
const (
	exStart      = 0
	exFrames     = 1
	exFramesX    = 3 // of pictures: without a composition offset
	exMetadata   = 4 // of pictures; the channels' layout of sound
	exMultiAudio = 5
	exMultiVideo = 6
	exModEx      = 7 // modifiers, then the type again
)

// ParseVideo reads the body of a video tag (Annex E.4.3; Enhanced RTMP v2 for
// the extended header). It copies nothing. Errors: *UnsupportedError for a codec
// that is not taken and for several tracks, otherwise the tag is malformed.
func ParseVideo(b []byte) (Tag, error) {
	if len(b) == 0 {
		return Tag{}, nil
	}
	kind := b[0] >> 4 & 7
	if b[0]&0x80 != 0 {
		return parseVideoEx(b)
	}
	if kind == 5 { // info or command frame
		return Tag{}, nil
	}
	if id := b[0] & 0x0f; id != 7 {
		return Tag{}, &UnsupportedError{Codec: codec.FLVName(frame.Video, id), Video: true}
	}
	if len(b) < 5 {
		return Tag{}, errShort
	}
	name := codec.FLVName(frame.Video, 7)
	switch b[1] {
	case 0:
		return Tag{Packet: Config, Codec: name, Key: true, Data: b[5:]}, nil
	case 1:
		return Tag{Packet: Frame, Codec: name, Key: kind == 1, CTS: int24(b[2:]), Data: b[5:]}, nil
	}
	return Tag{}, nil
}

// extended reads an extended header from the type in the first byte on: past
// modifiers (a time stamp's nanoseconds so far), up to the four characters.
func extended(b []byte, multi byte) (packet byte, name string, data []byte, err error) {
	packet, b = b[0]&0x0f, b[1:]
	for packet == exModEx {
		if len(b) < 1 {
			return 0, "", nil, errShort
		}
		size := int(b[0]) + 1
		b = b[1:]
		if size == 256 {
			if len(b) < 2 {
				return 0, "", nil, errShort
			}
			size = int(b[0])<<8 + int(b[1]) + 1
			b = b[2:]
		}
		if len(b) < size+1 {
			return 0, "", nil, errShort
		}
		packet, b = b[size]&0x0f, b[size+1:]
	}
	if packet == multi {
		return packet, "", nil, &UnsupportedError{Video: multi == exMultiVideo}
	}
	if packet == exMetadata {
		return packet, "", nil, nil
	}
	if len(b) < 4 {
		return 0, "", nil, errShort
	}
	name = codec.FourCCName(string(b[:4]))
	if !codec.Taken(name) {
		return 0, "", nil, &UnsupportedError{Codec: name, Video: multi == exMultiVideo}
	}
	return packet, name, b[4:], nil
}

// parseVideoEx reads the extended header of a picture.
func parseVideoEx(b []byte) (Tag, error) {
	kind := b[0] >> 4 & 7
	if kind == 5 && b[0]&0x0f != exMetadata { // command
		return Tag{}, nil
	}
	packet, name, data, err := extended(b, exMultiVideo)
	if err != nil {
		return Tag{}, err
	}
	t := Tag{Packet: Frame, Codec: name, Key: kind == 1, Data: data}
	switch packet {
	case exStart:
		return Tag{Packet: Config, Codec: name, Key: true, Data: data}, nil
	case exFrames:
		if codec.Composes(name) {
			if len(data) < 3 {
				return Tag{}, errShort
			}
			t.CTS, t.Data = int24(data), data[3:]
		}
		return t, nil
	case exFramesX:
		return t, nil
	}
	return Tag{}, nil
}

// ParseAudio reads the body of an audio tag (Annex E.4.2). Errors: see ParseVideo.
func ParseAudio(b []byte) (Tag, error) {
	if len(b) == 0 {
		return Tag{}, nil
	}
	id := b[0] >> 4
	if id == 9 {
		packet, name, data, err := extended(b, exMultiAudio)
		if err != nil {
			return Tag{}, err
		}
		return audioTag(name, packet, data), nil
	}
	if id != 10 {
		return Tag{}, &UnsupportedError{Codec: codec.FLVName(frame.Audio, id)}
	}
	if len(b) < 2 {
		return Tag{}, errShort
	}
	return audioTag(codec.FLVName(frame.Audio, id), b[1], b[2:]), nil
}

func audioTag(name string, packet byte, data []byte) Tag {
	switch {
	case len(data) == 0:
		return Tag{}
	case packet == exStart:
		return Tag{Packet: Config, Codec: name, Data: data}
	case packet == exFrames:
		return Tag{Packet: Frame, Codec: name, Data: data}
	}
	return Tag{}
}

// int24 reads a signed 24-bit number.
func int24(b []byte) int32 {
	return int32(uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8) >> 8
}
