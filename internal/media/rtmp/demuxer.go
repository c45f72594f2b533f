package rtmp

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/flv"
	"glimpse/internal/media/serve"
)

// demuxer makes tracks and access units of a publisher's messages. It decides
// alone, without I/O.
type demuxer struct {
	serve.Intake
	clock flv.Clock
	codec string // of the sound; empty before its configuration
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
	case typeCommand, typeCommandAMF3:
		return goodbye(m)
	}
	return nil
}

// tag hands a parsed tag on.
func (d *demuxer) tag(tag flv.Tag, err error, ts uint32, config func(flv.Tag) error, media func(time.Duration, flv.Tag) error) error {
	switch {
	case err != nil:
		if unsupported := (*flv.UnsupportedError)(nil); errors.As(err, &unsupported) {
			return err
		}
		d.Skip()
		return nil
	case tag.Packet == flv.Config:
		return config(tag)
	case tag.Packet == flv.Frame:
		return media(d.clock.Unwrap(ts), tag)
	}
	return nil
}

func (d *demuxer) videoConfig(t flv.Tag) error { return d.VideoConfig(t.Codec, t.Data) }

func (d *demuxer) audioConfig(t flv.Tag) error {
	c, err := codec.NewAudio(t.Codec, t.Data)
	if err != nil {
		d.Log.Warn("publisher's audio configuration cannot be used: no sound", "error", err)
		return nil
	}
	d.codec = t.Codec
	return d.AudioConfig(c)
}

// picture takes one access unit; dts is on the publisher's clock.
func (d *demuxer) picture(dts time.Duration, t flv.Tag) error {
	return d.Sample(t.Codec, dts+time.Duration(t.CTS)*time.Millisecond, dts, t.Data)
}

func (d *demuxer) sound(pts time.Duration, t flv.Tag) error {
	if d.codec != t.Codec {
		return nil // before the configuration, or an unusable one
	}
	return d.Sound(pts, t.Data)
}

// metadata looks for announced sound, for which the hub waits a moment.
func (d *demuxer) metadata(b []byte) {
	if d.HasAudio() || checkAMF(b) != nil {
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
		d.Out.ExpectAudio()
	}
}

// goodbye returns errUnpublished when a command says that the peer stops; all else
// is of no use once media flow.
func goodbye(m message) error {
	b := m.body
	if m.kind == typeCommandAMF3 && len(b) > 0 { // AMF0 behind a byte of format
		b = b[1:]
	}
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
