package transcode

import (
	"io"
	"strconv"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/flv"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

// soundRate is the clock of all that children write.
const soundRate = codec.OpusRate

// sampled is what a sound track's codec knows: its clock rate in Hz and the
// length of a frame in it.
type sampled interface {
	Samples(payload []byte) (rate int, n int64)
}

// frameWriter is a container that is written to a child.
type frameWriter interface {
	WriteFrame(f *frame.Frame) error
}

// input is how children are given a codec's sound.
type input struct {
	format string // for ffmpeg
	open   func(io.Writer, *frame.Track) (frameWriter, error)
}

// inputs are the ways in, by codec. FLV cannot tell ffmpeg 5 of Opus, and Ogg
// cannot hold AAC.
func inputs() map[hub.Sound]input {
	return map[hub.Sound]input{
		hub.SoundAAC:  {"flv", openFLV},
		hub.SoundOpus: {"ogg", openOgg},
	}
}

func openFLV(w io.Writer, t *frame.Track) (frameWriter, error) {
	tags := flv.NewWriter(w)
	return tags, tags.WriteTrack(t)
}

// output is a form of sound that children make.
type output struct {
	form     hub.Sound
	backlog  time.Duration // how much of the past a new child converts
	samples  int64         // of a packet, at soundRate
	maxBytes int           // of a packet
	encoder  func(channels int) []string
}

// outputs are the ways out. Opus is for listeners who start live; AAC also for
// segments that hold it next to pictures of the past seconds.
func outputs() map[hub.Sound]output {
	return map[hub.Sound]output{
		hub.SoundOpus: {
			form: hub.SoundOpus, backlog: 200 * time.Millisecond, samples: 960,
			maxBytes: 1275, // RFC 6716 §3.2.1
			encoder: func(channels int) []string {
				return []string{
					"-c:a", "libopus", "-ac", strconv.Itoa(channels),
					"-b:a", strconv.Itoa(32+32*channels) + "k", "-frame_duration", "20",
				}
			},
		},
		hub.SoundStandard: {
			form: hub.SoundStandard, backlog: hub.SoundPast, samples: codec.AACFrameSamples,
			maxBytes: 2 * 6144 / 8, // ISO/IEC 14496-3 §4.5.3.2, two channels
			encoder: func(int) []string {
				// The first viewer waits for 8 s of sound. At this bitrate the fast search
				// without mid/side distorts less than the default one (docs/performance.md)
				// and takes a third of its time, whatever the sound.
				// What is quieter than 16 bits tell is made silence: the encoder needs four
				// times as long for a decoder's rounding noise as for sound.
				return []string{
					"-af", "aformat=sample_fmts=s16", "-c:a", "aac", "-profile:a", "aac_low", "-aac_coder", "fast", "-aac_ms", "0", "-ac", "2",
					"-ar", strconv.Itoa(soundRate), "-b:a", "128k",
				}
			},
		},
	}
}

// wants reports whether a track has to be converted, and can be.
func (o output) wants(t *frame.Track) bool {
	_, known := inputs()[hub.Sound(t.Codec.Name())]
	return known && !o.form.Is(t)
}

// channelled is what a sound track's codec knows of its channels.
type channelled interface {
	ChannelCount() int
}

// soundArgs are a child's arguments; they probe nothing, so that the first packet
// comes as soon as a process can start.
func soundArgs(format string, to output, t *frame.Track) []string {
	channels := 2
	if c, ok := t.Codec.(channelled); ok {
		channels = min(c.ChannelCount(), 2)
	}
	args := []string{
		"-nostdin", "-hide_banner", "-loglevel", "error", "-copyts", "-threads", "1",
		"-probesize", "32", "-analyzeduration", "0", "-protocol_whitelist", "pipe", "-f", format, "-i", "pipe:0",
		"-map", "0:a:0",
	}
	args = append(args, to.encoder(channels)...)
	return append(args, "-flush_packets", "1", "-f", "nut", "pipe:1")
}
