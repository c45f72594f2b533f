package camera

import (
	"encoding/json"
	"time"

	"glimpse/protocol"
)

// checkApp makes checks 1 and 2 of WIRE d.1; an empty code means passed.
func (m *machine) checkApp(app string, permitted, running bool, denied string) (protocol.Code, string) {
	switch {
	case !permitted:
		return protocol.CodePermissionDenied, denied
	case !running:
		return protocol.CodeAppNotStarted, "App " + app + " is not running"
	}
	return "", ""
}

// checkDevice makes checks 3 to 5 of WIRE d.1.
func (m *machine) checkDevice() (protocol.Code, string) {
	switch {
	case !m.reachable():
		return protocol.CodeGlassesDisconnected, protocol.TextGlassesGone
	case !m.Device.HasCamera:
		return protocol.CodeNoCamera, protocol.TextNoCamera
	case m.Device.WifiDown:
		return protocol.CodeWifiNotConnected, protocol.TextNoWifi
	}
	return "", ""
}

// maxLimit bounds durationLimit; more is the same as none.
const maxLimit = 365 * 24 * time.Hour

// limitOf reads durationLimit (seconds) out of an app's "stream" option. What
// cannot be read is no limit: the glasses get the bytes as they are.
func limitOf(stream json.RawMessage) time.Duration {
	var c protocol.StreamConfig
	if len(stream) == 0 || json.Unmarshal(stream, &c) != nil {
		return 0
	}
	if c.DurationLimit <= 0 || c.DurationLimit > maxLimit.Seconds() {
		return 0
	}
	return time.Duration(c.DurationLimit * float64(time.Second))
}

// preset is the video of a quality.
func preset(quality string) (protocol.VideoConfig, bool) {
	switch quality {
	case "720p":
		return protocol.VideoConfig{Width: 1280, Height: 720, Bitrate: 2_000_000, FrameRate: 30}, true
	case "1080p":
		return protocol.VideoConfig{Width: 1920, Height: 1080, Bitrate: 4_500_000, FrameRate: 30}, true
	}
	return protocol.VideoConfig{}, false
}

func unknownQuality(quality string) string {
	if _, ok := preset(quality); ok || quality == "" {
		return ""
	}
	return "quality not known and not applied: 720p or 1080p"
}

// clean takes an explicit null for what it means: nothing.
func (o Options) clean() Options {
	for _, raw := range []*json.RawMessage{&o.Video, &o.Audio, &o.Stream} {
		if string(*raw) == "null" {
			*raw = nil
		}
	}
	return o
}

// videoFor is the "video" for the glasses: the app's own bytes, or the preset of
// its quality with the app's own keys laid over it.
func videoFor(o Options) json.RawMessage {
	p, ok := preset(o.Quality)
	if !ok {
		return o.Video
	}
	base, err := json.Marshal(p)
	if err != nil || len(o.Video) == 0 {
		return base
	}
	var keys map[string]json.RawMessage
	if json.Unmarshal(base, &keys) != nil || json.Unmarshal(o.Video, &keys) != nil || keys == nil {
		return o.Video // not an object: nothing to lay over, the app's word stands
	}
	merged, err := json.Marshal(keys)
	if err != nil {
		return o.Video
	}
	return merged
}
