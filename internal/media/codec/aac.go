package codec

import (
	"bytes"
	"fmt"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"glimpse/internal/media/frame"
)

// AACFrameSamples is the length of an AAC access unit.
const AACFrameSamples = 1024

// AAC is MPEG-4 audio; make it with NewAAC.
type AAC struct {
	Config     []byte // AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1)
	SampleRate int    // Hz
	Channels   int
	object     int
}

var _ frame.Codec = (*AAC)(nil)

// NewAAC parses an AudioSpecificConfig and keeps it (not copied).
func NewAAC(config []byte) (*AAC, error) {
	var c mpeg4audio.AudioSpecificConfig
	if err := c.Unmarshal(config); err != nil {
		return nil, fmt.Errorf("aac: %w", err)
	}
	if c.SampleRate < 7350 || c.SampleRate > 96000 {
		return nil, fmt.Errorf("aac: sample rate %d Hz; 7350 to 96000", c.SampleRate)
	}
	if c.ChannelConfig == 0 || c.ChannelConfig > 7 {
		return nil, fmt.Errorf("aac: channel configuration %d", c.ChannelConfig)
	}
	channels := int(c.ChannelConfig)
	if channels == 7 {
		channels = 8
	}
	return &AAC{Config: config, SampleRate: c.SampleRate, Channels: channels, object: int(c.Type)}, nil
}

// StandardAAC is AAC-LC, 48 kHz, stereo: what generated and converted sound is.
func StandardAAC() *AAC {
	c, err := NewAAC([]byte{0x11, 0x90})
	if err != nil {
		panic(err) // a constant
	}
	return c
}

// IsStandard reports whether sound is as StandardAAC says.
func IsStandard(c frame.Codec) bool {
	a, ok := c.(*AAC)
	return ok && bytes.Equal(plainConfig(a.Config), []byte{0x11, 0x90})
}

// Kind is frame.Audio.
func (c *AAC) Kind() frame.Kind { return frame.Audio }

// Name is "AAC".
func (c *AAC) Name() string { return nameAAC }

// MIME is "mp4a.40." and the object type (RFC 6381 §3.3).
func (c *AAC) MIME() string { return fmt.Sprintf("mp4a.40.%d", c.object) }

// Equal reports whether both have the same configuration.
func (c *AAC) Equal(o *AAC) bool { return bytes.Equal(plainConfig(c.Config), plainConfig(o.Config)) }

// plainConfig leaves out an extension that only says that there is none (ISO/IEC
// 14496-3 §1.6.2.1: sync extension, SBR, not present): some muxers write it.
func plainConfig(config []byte) []byte {
	if len(config) == 5 && config[2] == 0x56 && config[3] == 0xe5 && config[4]&0x80 == 0 {
		return config[:2]
	}
	return config
}

// ChannelCount is 1 to 8.
func (c *AAC) ChannelCount() int { return c.Channels }

// Samples is the clock rate and the length of an access unit in it.
func (c *AAC) Samples([]byte) (rate int, n int64) { return c.SampleRate, AACFrameSamples }

// Layout is the sample rate in Hz and the number of channels.
func (c *AAC) Layout() (rate, channels int) { return c.SampleRate, c.Channels }

// FrameDuration is the exact length of an access unit, rounded to nanoseconds.
func (c *AAC) FrameDuration() time.Duration {
	return AACFrameSamples * time.Second / time.Duration(c.SampleRate)
}

// flvAAC is the first byte of all AAC tags: the bits for rate, size and channels
// are constant, the configuration tells the truth (FLV Annex E.4.2.1).
const flvAAC = 0xaf

// FLVConfig is the body of FLV's AAC sequence header.
func (c *AAC) FLVConfig() []byte { return append([]byte{flvAAC, 0}, c.Config...) }

// AppendFLV appends the two bytes that stand before an access unit in its FLV tag.
func (c *AAC) AppendFLV(b []byte, _ bool, _ int32) []byte { return append(b, flvAAC, 1) }

// FLVMetadata gives the properties of onMetaData.
func (c *AAC) FLVMetadata(set func(name string, v float64)) {
	set("audiocodecid", 10)
	set("audiosamplerate", float64(c.SampleRate))
	set("audiosamplesize", 16)
	set("audiochannels", float64(c.Channels))
}
