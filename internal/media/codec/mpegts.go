package codec

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	tscodecs "github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/substructs"

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
	return writePicture(w.WriteH264, t, f, c.InBand)
}

// writePicture splits a picture into the NAL units that the library takes.
func writePicture(write func(t *mpegts.Track, pts, dts int64, au [][]byte) error, t *mpegts.Track, f *frame.Frame, inBand func([]byte) []byte) error {
	payload := f.Payload
	if f.Key {
		payload = inBand(payload)
	}
	au := slices.Collect(NALUs(payload))
	if len(au) == 0 {
		return nil
	}
	return write(t, tsClock(f.PTS), tsClock(f.DTS), au)
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

// TSCodec is the codec in the words of the MPEG-TS library.
func (c *H265) TSCodec() tscodecs.Codec { return &tscodecs.H265{} }

// WriteTS writes a picture, key frames with their parameter sets.
func (c *H265) WriteTS(w *mpegts.Writer, t *mpegts.Track, f *frame.Frame) error {
	return writePicture(w.WriteH265, t, f, c.InBand)
}

// TSCodec is the codec in the words of the MPEG-TS library.
func (c *Opus) TSCodec() tscodecs.Codec {
	return &tscodecs.Opus{Desc: &substructs.OpusAudioDescriptor{ChannelConfigCode: uint8(c.Channels)}}
}

// WriteTS writes a packet behind its control header.
func (c *Opus) WriteTS(w *mpegts.Writer, t *mpegts.Track, f *frame.Frame) error {
	return w.WriteOpus(t, tsClock(f.PTS), [][]byte{f.Payload})
}

// ParseTSOpus takes Opus packets out of their control headers (ETSI TS 103 491
// draft, table 6-6), as they lie in a PES packet; the slices point into b.
func ParseTSOpus(b []byte) (packets [][]byte, err error) {
	for len(b) > 0 {
		var unit substructs.OpusAccessUnit
		n, err := unit.Unmarshal(b)
		if err != nil {
			return nil, fmt.Errorf("opus: %w", err)
		}
		if n <= 0 || n > len(b) {
			return nil, errors.New("opus: bad control header")
		}
		packets, b = append(packets, unit.Packet), b[n:]
	}
	if len(packets) == 0 {
		return nil, errors.New("opus: no packet")
	}
	return packets, nil
}

// TSPictures reports whether pictures of a codec, by its name, are taken from an
// MPEG-TS: those that travel behind start codes.
func TSPictures(name string) bool { return name == nameH264 || name == nameH265 }

// TSSound returns what parses a PES packet of a codec of sound, by its name and
// its descriptors: the codec and its frames, which point into the packet. Nil when
// it is not taken.
func TSSound(name string, descriptors []byte) func(packet []byte) (Audio, [][]byte, error) {
	switch name {
	case nameAAC:
		return func(b []byte) (Audio, [][]byte, error) {
			c, units, err := ParseADTS(b)
			return c, units, err
		}
	case nameOpus:
		if c := TSOpus(descriptors); c != nil {
			return func(b []byte) (Audio, [][]byte, error) {
				packets, err := ParseTSOpus(b)
				return c, packets, err
			}
		}
	}
	return nil
}

// TSOpus makes the codec that an Opus stream's descriptors announce: 1 or 2
// channels, nil for others (channel_config_code of the extension descriptor with
// tag 0x80; 2 when it is missing).
func TSOpus(descriptors []byte) *Opus {
	for d := descriptors; len(d) >= 2 && len(d) >= 2+int(d[1]); d = d[2+int(d[1]):] {
		if d[0] == 0x7f && d[1] >= 2 && d[2] == 0x80 {
			if d[3] != 1 && d[3] != 2 {
				return nil
			}
			return &Opus{Channels: int(d[3])}
		}
	}
	return &Opus{Channels: 2}
}
