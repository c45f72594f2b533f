package flv

import (
	"errors"
	"fmt"
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
	Key    bool  // of pictures
	CTS    int32 // composition offset in milliseconds, of pictures
	Data   []byte
}

// UnsupportedError is a codec that this server does not take.
type UnsupportedError struct {
	Codec string // for people: "H.265", "MP3"
	Video bool
}

// Error says what came and what is supported; it may be shown to anyone.
func (e *UnsupportedError) Error() string {
	if e.Video {
		return fmt.Sprintf("video codec %s is not supported here: send H.264 (AVC) video with AAC audio", e.Codec)
	}
	return fmt.Sprintf("audio codec %s is not supported here: send AAC audio with H.264 (AVC) video", e.Codec)
}

var errShort = errors.New("flv: tag is cut short")

// ParseVideo reads the body of a video tag (Annex E.4.3; Enhanced RTMP v2 for
// the extended header). It copies nothing. Errors: *UnsupportedError for any
// codec but H.264, otherwise the tag is malformed.
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
		return Tag{}, &UnsupportedError{Codec: videoName(id), Video: true}
	}
	if len(b) < 5 {
		return Tag{}, errShort
	}
	switch b[1] {
	case 0:
		return Tag{Packet: Config, Key: true, Data: b[5:]}, nil
	case 1:
		return Tag{Packet: Frame, Key: kind == 1, CTS: int24(b[2:]), Data: b[5:]}, nil
	}
	return Tag{}, nil
}

// parseVideoEx reads the extended header: H.264 may be sent as "avc1".
func parseVideoEx(b []byte) (Tag, error) {
	kind, packet := b[0]>>4&7, b[0]&0x0f
	if packet == 4 || kind == 5 { // metadata (HDR), command
		return Tag{}, nil
	}
	if packet == 6 || packet == 7 { // multitrack, modifiers
		return Tag{}, &UnsupportedError{Codec: "multitrack", Video: true}
	}
	if len(b) < 5 {
		return Tag{}, errShort
	}
	if code := string(b[1:5]); code != "avc1" {
		return Tag{}, &UnsupportedError{Codec: fourCCName(code), Video: true}
	}
	switch packet {
	case 0:
		return Tag{Packet: Config, Key: true, Data: b[5:]}, nil
	case 1:
		if len(b) < 8 {
			return Tag{}, errShort
		}
		return Tag{Packet: Frame, Key: kind == 1, CTS: int24(b[5:]), Data: b[8:]}, nil
	case 3:
		return Tag{Packet: Frame, Key: kind == 1, Data: b[5:]}, nil
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
		return parseAudioEx(b)
	}
	if id != 10 {
		return Tag{}, &UnsupportedError{Codec: audioName(id)}
	}
	if len(b) < 2 {
		return Tag{}, errShort
	}
	return audioTag(b[1], b[2:]), nil
}

// parseAudioEx reads the extended header: AAC may be sent as "mp4a".
func parseAudioEx(b []byte) (Tag, error) {
	packet := b[0] & 0x0f
	if packet == 4 { // multichannel layout
		return Tag{}, nil
	}
	if packet == 5 || packet == 7 {
		return Tag{}, &UnsupportedError{Codec: "multitrack"}
	}
	if len(b) < 5 {
		return Tag{}, errShort
	}
	if code := string(b[1:5]); code != "mp4a" {
		return Tag{}, &UnsupportedError{Codec: fourCCName(code)}
	}
	return audioTag(packet, b[5:]), nil
}

func audioTag(packet byte, data []byte) Tag {
	switch {
	case len(data) == 0:
		return Tag{}
	case packet == 0:
		return Tag{Packet: Config, Data: data}
	case packet == 1:
		return Tag{Packet: Frame, Data: data}
	}
	return Tag{}
}

// int24 reads a signed 24-bit number.
func int24(b []byte) int32 {
	return int32(uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8) >> 8
}

func videoName(id byte) string {
	switch id {
	case 2:
		return "Sorenson H.263"
	case 3, 6:
		return "Screen video"
	case 4, 5:
		return "VP6"
	case 8:
		return "H.263"
	case 9:
		return "MPEG-4 Part 2"
	case 12:
		return "H.265 (HEVC)"
	}
	return fmt.Sprintf("number %d", id)
}

func audioName(id byte) string {
	switch id {
	case 0, 3:
		return "PCM"
	case 1:
		return "ADPCM"
	case 2, 14:
		return "MP3"
	case 4, 5, 6:
		return "Nellymoser"
	case 7:
		return "G.711 A-law"
	case 8:
		return "G.711 mu-law"
	case 11:
		return "Speex"
	case 13:
		return "Opus"
	}
	return fmt.Sprintf("number %d", id)
}

// fourCCName names the codecs of Enhanced RTMP; anything else is not repeated.
func fourCCName(code string) string {
	switch code {
	case "hvc1", "hev1":
		return "H.265 (HEVC)"
	case "vvc1":
		return "H.266 (VVC)"
	case "av01":
		return "AV1"
	case "vp08":
		return "VP8"
	case "vp09":
		return "VP9"
	case "Opus":
		return "Opus"
	case "fLaC":
		return "FLAC"
	case "ac-3":
		return "AC-3"
	case "ec-3":
		return "E-AC-3"
	case ".mp3":
		return "MP3"
	}
	return "with an unknown four-character code"
}
