package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	tscodecs "github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"

	"glimpse/internal/media/frame"
)

// TSCodec says what an elementary stream of an MPEG-TS carries, by its
// stream_type (ISO/IEC 13818-1 table 2-34) and its descriptors: the codec's name
// and kind. The name is empty for what is neither picture nor sound.
func TSCodec(streamType byte, descriptors []byte) (name string, kind frame.Kind) {
	switch streamType {
	case 0x01, 0x02:
		return "MPEG-2", frame.Video
	case 0x03, 0x04:
		return "MP3", frame.Audio
	case 0x0f:
		return "AAC", frame.Audio
	case 0x10:
		return "MPEG-4", frame.Video
	case 0x11:
		return "AAC in LATM", frame.Audio
	case 0x1b:
		return "H.264", frame.Video
	case 0x24:
		return "H.265", frame.Video
	case 0x33:
		return "H.266", frame.Video
	case 0x81:
		return "AC-3", frame.Audio
	case 0x87:
		return "E-AC-3", frame.Audio
	case 0x06: // private: the descriptors tell
		return tsPrivate(descriptors)
	}
	return "", 0
}

// tsPrivate looks for a descriptor that names a codec: registration (5), AC-3
// (0x6a) and E-AC-3 (0x7a).
func tsPrivate(d []byte) (name string, kind frame.Kind) {
	for len(d) >= 2 {
		n := int(d[1])
		if n > len(d)-2 {
			break
		}
		switch body := d[2 : 2+n]; {
		case d[0] == 5 && bytes.Equal(body, []byte("Opus")):
			return "Opus", frame.Audio
		case d[0] == 5 && bytes.Equal(body, []byte("AV01")):
			return "AV1", frame.Video
		case d[0] == 5 && bytes.Equal(body, []byte("HEVC")):
			return "H.265", frame.Video
		case d[0] == 0x6a:
			return "AC-3", frame.Audio
		case d[0] == 0x7a:
			return "E-AC-3", frame.Audio
		}
		d = d[2+n:]
	}
	return "", 0
}

// FromAnnexB makes the AVCC form of an access unit behind start codes (ITU-T
// H.264 Annex B), without delimiters and filler. Nil when there is no NAL unit.
// The bytes are copied.
func FromAnnexB(b []byte) []byte {
	code := []byte{0, 0, 1}
	start := bytes.Index(b, code)
	if start < 0 {
		return nil
	}
	out := make([]byte, 0, len(b)+16)
	for b = b[start+3:]; ; {
		next := bytes.Index(b, code)
		nalu := b
		if next >= 0 {
			nalu = b[:next]
		}
		nalu = bytes.TrimRight(nalu, "\x00") // trailing_zero_8bits; a NAL unit never ends in 0
		if len(nalu) > 0 && nalu[0]&0x1f != NALAUD && nalu[0]&0x1f != NALFill {
			out = binary.BigEndian.AppendUint32(out, uint32(len(nalu)))
			out = append(out, nalu...)
		}
		if next < 0 {
			break
		}
		b = b[next+3:]
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// ParseADTS takes AAC access units out of their ADTS headers (ISO/IEC 14496-3
// §1.A.2.2). All of them must have the same parameters; the slices point into b.
func ParseADTS(b []byte) (c *AAC, units [][]byte, err error) {
	var packets mpeg4audio.ADTSPackets
	if err := packets.Unmarshal(b); err != nil {
		return nil, nil, fmt.Errorf("adts: %w", err)
	}
	if len(packets) == 0 {
		return nil, nil, errors.New("adts: no access unit")
	}
	first := packets[0]
	for _, p := range packets {
		if p.Type != first.Type || p.SampleRate != first.SampleRate || p.ChannelConfig != first.ChannelConfig {
			return nil, nil, errors.New("adts: parameters change within a packet")
		}
		units = append(units, p.AU)
	}
	config, err := mpeg4audio.AudioSpecificConfig{
		Type: first.Type, SampleRate: first.SampleRate, ChannelConfig: first.ChannelConfig,
	}.Marshal()
	if err != nil {
		return nil, nil, fmt.Errorf("adts: %w", err)
	}
	c, err = NewAAC(config)
	return c, units, err
}

// tsClock turns a time into MPEG-TS's 33 bits of 90 kHz, an hour from 0 so that
// the program clock before it is not negative.
func tsClock(t time.Duration) int64 {
	const hour = 3600 * 90000
	whole, part := int64(t/time.Second), int64(t%time.Second)
	return (whole*90000 + part*90000/int64(time.Second) + hour) & (1<<33 - 1)
}

// TSCodec is the codec in the words of the MPEG-TS library.
func (c *H264) TSCodec() tscodecs.Codec { return &tscodecs.H264{} }

// WriteTS writes a picture, key frames with their parameter sets.
func (c *H264) WriteTS(w *mpegts.Writer, t *mpegts.Track, f *frame.Frame) error {
	payload := f.Payload
	if f.Key {
		payload = c.InBand(payload)
	}
	var au [][]byte
	for n := range NALUs(payload) {
		au = append(au, n)
	}
	if len(au) == 0 {
		return nil
	}
	return w.WriteH264(t, tsClock(f.PTS), tsClock(f.DTS), au)
}

// TSCodec is the codec in the words of the MPEG-TS library.
func (c *AAC) TSCodec() tscodecs.Codec {
	var config mpeg4audio.AudioSpecificConfig
	_ = config.Unmarshal(c.Config) // NewAAC did the same
	return &tscodecs.MPEG4Audio{Config: config}
}

// WriteTS writes an access unit behind an ADTS header.
func (c *AAC) WriteTS(w *mpegts.Writer, t *mpegts.Track, f *frame.Frame) error {
	return w.WriteMPEG4Audio(t, tsClock(f.PTS), [][]byte{f.Payload})
}
