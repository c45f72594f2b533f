package codec

import (
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	mp4codecs "github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

// MP4Codec is the codec in the words of the MP4 library.
func (c *H264) MP4Codec() mp4codecs.Codec { return &mp4codecs.H264{SPS: c.SPS, PPS: c.PPS} }

// MP4Codec is the codec in the words of the MP4 library.
func (c *H265) MP4Codec() mp4codecs.Codec {
	return &mp4codecs.H265{VPS: c.VPS, SPS: c.SPS, PPS: c.PPS}
}

// MP4Codec is the codec in the words of the MP4 library.
func (c *AV1) MP4Codec() mp4codecs.Codec {
	o, _, _ := nextOBU(c.Sequence) // NewAV1 did the same
	return &mp4codecs.AV1{SequenceHeader: c.bare(o)}
}

// MP4Codec is the codec in the words of the MP4 library.
func (c *AAC) MP4Codec() mp4codecs.Codec {
	var config mpeg4audio.AudioSpecificConfig
	_ = config.Unmarshal(c.Config) // NewAAC did the same
	return &mp4codecs.MPEG4Audio{Config: config}
}

// MP4Codec is the codec in the words of the MP4 library.
func (c *Opus) MP4Codec() mp4codecs.Codec { return &mp4codecs.Opus{ChannelCount: c.Channels} }
