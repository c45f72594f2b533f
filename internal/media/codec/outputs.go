package codec

import (
	"errors"
	"fmt"

	tscodecs "github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"

	"glimpse/internal/media/frame"
)

// ForWebRTC returns the pictures and the sound of a stream that WebRTC carries: one
// H.264 and at most one Opus track (audio is nil without). Otherwise the error names
// what is there instead, for anyone.
func ForWebRTC(tracks []*frame.Track) (video *H264, audio *Opus, err error) {
	for _, t := range tracks {
		switch c := t.Codec.(type) {
		case *H264:
			if video != nil {
				return nil, nil, errors.New("two tracks of H.264")
			}
			video = c
		case *Opus:
			if audio != nil {
				return nil, nil, errors.New("two tracks of Opus")
			}
			audio = c
		default:
			return nil, nil, errors.New(t.Codec.Name())
		}
	}
	if video == nil {
		return nil, nil, errors.New("a stream without H.264")
	}
	return video, audio, nil
}

// Unplayable says which protocols cannot carry a stream's pictures, and why, in
// a sentence for anyone; empty when all can.
func Unplayable(c frame.Codec) map[string]string {
	why := map[string]string{}
	if _, ok := c.(*H264); !ok {
		why["webrtc"] = fmt.Sprintf("This stream's video is %s; WebRTC playback needs H.264. LL-HLS carries it.", c.Name())
	}
	if _, ok := c.(interface{ TSCodec() tscodecs.Codec }); !ok {
		why["srt"] = fmt.Sprintf("This stream's video is %s, which MPEG-TS does not carry. LL-HLS carries it.", c.Name())
	}
	return why
}
