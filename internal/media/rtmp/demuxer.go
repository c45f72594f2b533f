package rtmp

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/flv"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

// sink is where a demuxer puts what it finds.
type sink interface {
	ExpectAudio()
	SetTrack(t *frame.Track) error
	Video(pts, dts time.Duration, key bool, payload []byte) error
	Audio(pts time.Duration, payload []byte) error
}

var _ sink = (*hub.Publisher)(nil)

// demuxer makes tracks and access units of a publisher's messages. It decides
// alone, without I/O.
type demuxer struct {
	out       sink
	log       *slog.Logger
	clock     flv.Clock
	video     *codec.H264
	audio     *codec.AAC
	lengths   int // size of the NAL unit lengths in the publisher's pictures; 0: no configuration yet
	malformed int // pictures dropped because they do not parse
}

// message handles one message. Errors: *flv.UnsupportedError, errUnpublished, or
// those of the sink. Messages that are malformed or of no use are skipped.
func (d *demuxer) message(m message) error {
	switch m.kind {
	case typeVideo:
		tag, err := flv.ParseVideo(m.body)
		return d.tag(tag, err, m.time, d.videoConfig, d.picture)
	case typeAudio:
		tag, err := flv.ParseAudio(m.body)
		return d.tag(tag, err, m.time, d.audioConfig, d.sound)
	case typeData:
		d.metadata(m.body)
	case typeCommand:
		return d.command(m.body)
	case typeCommandAMF3:
		if len(m.body) > 0 {
			return d.command(m.body[1:])
		}
	}
	return nil
}

// tag hands a parsed tag on.
func (d *demuxer) tag(tag flv.Tag, err error, ts uint32, config func([]byte) error, media func(time.Duration, flv.Tag) error) error {
	switch {
	case err != nil:
		if unsupported := (*flv.UnsupportedError)(nil); errors.As(err, &unsupported) {
			return err
		}
		d.skipped()
		return nil
	case tag.Packet == flv.Config:
		return config(tag.Data)
	case tag.Packet == flv.Frame:
		return media(d.clock.Unwrap(ts), tag)
	}
	return nil
}

// skipped counts a picture or sound frame that does not parse and says so once.
func (d *demuxer) skipped() {
	if d.malformed++; d.malformed == 1 {
		d.log.Warn("publisher sends media that does not parse: skipped")
	}
}

// videoConfig takes a sequence header. One that cannot be used is not the end:
// parameter sets may come in-band.
func (d *demuxer) videoConfig(b []byte) error {
	c, size, err := codec.ParseAVCC(b)
	if size == 0 {
		size = 4
	}
	d.lengths = size
	if err != nil {
		d.log.Warn("publisher's video configuration cannot be used; waiting for one in the pictures", "error", err)
		return nil
	}
	return d.setVideo(c)
}

func (d *demuxer) setVideo(c *codec.H264) error {
	if d.video != nil && d.video.Equal(c) {
		return nil
	}
	d.video = c
	return d.out.SetTrack(&frame.Track{Codec: c})
}

func (d *demuxer) audioConfig(b []byte) error {
	c, err := codec.NewAAC(b)
	if err != nil {
		d.log.Warn("publisher's audio configuration cannot be used: no sound", "error", err)
		return nil
	}
	if d.audio != nil && d.audio.Equal(c) {
		return nil
	}
	d.audio = c
	return d.out.SetTrack(&frame.Track{Codec: c})
}

// picture takes one access unit; dts is on the publisher's clock.
func (d *demuxer) picture(dts time.Duration, tag flv.Tag) error {
	if d.lengths == 0 {
		return nil // before the configuration
	}
	payload := codec.WidenLengths(tag.Data, d.lengths)
	if !codec.ValidAVCC(payload) {
		d.skipped()
		return nil
	}
	// What FLV calls a key frame may be a recovery point, and encoders forget the
	// mark: the NAL units decide.
	key := codec.HasIDR(payload)
	if key {
		if err := d.inBand(payload); err != nil {
			return err
		}
	}
	if d.video == nil {
		return nil
	}
	return d.out.Video(dts+time.Duration(tag.CTS)*time.Millisecond, dts, key, payload)
}

// inBand looks for parameter sets in a key frame and applies new ones.
func (d *demuxer) inBand(payload []byte) error {
	var sps, pps []byte
	for n := range codec.NALUs(payload) {
		switch n[0] & 0x1f {
		case codec.NALSPS:
			sps = n
		case codec.NALPPS:
			if pps == nil {
				pps = n
			}
		}
	}
	if d.video != nil {
		if sps == nil {
			sps = d.video.SPS
		}
		if pps == nil {
			pps = d.video.PPS
		}
		if d.video.Equal(&codec.H264{SPS: sps, PPS: pps}) {
			return nil
		}
	}
	c, err := codec.NewH264(sps, pps)
	if err != nil {
		return nil // as good as none
	}
	return d.setVideo(c)
}

func (d *demuxer) sound(pts time.Duration, tag flv.Tag) error {
	if d.audio == nil {
		return nil
	}
	return d.out.Audio(pts, tag.Data)
}

// metadata looks for announced sound, for which the hub waits a moment.
func (d *demuxer) metadata(b []byte) {
	if d.audio != nil || checkAMF(b) != nil {
		return
	}
	values, err := amf0.Unmarshal(b)
	if err != nil || len(values) < 2 {
		return
	}
	if values[0] == "@setDataFrame" {
		values = values[1:]
	}
	if values[0] != "onMetaData" || len(values) < 2 {
		return
	}
	var object amf0.Object
	switch v := values[1].(type) {
	case amf0.Object:
		object = v
	case amf0.ECMAArray:
		object = amf0.Object(v)
	}
	id, ok := object.Get("audiocodecid")
	if ok && id != 0.0 && id != "" && id != nil {
		d.out.ExpectAudio()
	}
}

// command notices that the publisher says goodbye; all else is of no use here.
func (d *demuxer) command(b []byte) error {
	if len(b) < 3 || b[0] != 2 {
		return nil
	}
	n := int(binary.BigEndian.Uint16(b[1:]))
	if len(b) < 3+n {
		return nil
	}
	switch string(b[3 : 3+n]) {
	case "deleteStream", "closeStream": // FCUnpublish comes before it
		return errUnpublished
	}
	return nil
}
