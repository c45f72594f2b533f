package codec

import (
	"fmt"

	tscodecs "github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"

	"glimpse/internal/media/frame"
)

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
