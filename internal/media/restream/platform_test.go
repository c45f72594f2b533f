package restream

import (
	"strings"
	"testing"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

func TestPlatformOf(t *testing.T) {
	for address, want := range map[string]string{
		"rtmp://a.rtmp.youtube.com/live2/k": "YouTube", "rtmps://a.rtmps.youtube.com:443/live2/k": "YouTube",
		"rtmp://live.twitch.tv/app/k": "Twitch", "rtmp://fra02.contribute.live-video.net/app/k": "Twitch",
		"rtmps://ingest.global-contribute.live-video.net:443/app/k":   "Twitch",
		"rtmps://fa723fc1b171.global-contribute.live-video.net/app/k": "Kick",
		"rtmps://a1b2c3.global-contribute.live-video.net:443/app/k":   "Amazon IVS",
		"srt://a1b2c3.srt.live-video.net:9000?streamid=k":             "",
		"rtmps://live-api-s.facebook.com:443/rtmp/FB-1?s_bl=1&s_ps=1": "Facebook",
		"rtmp://de.pscp.tv:80/x/k":                                    "X",
		"rtmp://push-rtmp-l11-va01.tiktokcdn.com/stage/k":             "TikTok",
		"rtmp://LIVE.TWITCH.TV./app/k":                                "Twitch",
		"rtmp://live.twitch.tv.evil.example/app/k":                    "", "rtmp://nottwitch.tv/app/k": "", "rtmp://[::1]/a/k": "", "": "",
	} {
		if p, _ := PlatformOf(address); p.Name != want {
			t.Errorf("%s is %q, want %q", address, p.Name, want)
		}
	}
}

// A11 A51 C10 C24
// A stream that a platform would not like is said to be so, each thing in a
// sentence; one that fits is not.
func TestAdvise(t *testing.T) {
	h264 := func(width, height int, reorder bool) *frame.Track {
		return &frame.Track{Codec: &codec.H264{
			SPS: []byte{0x67, 77, 0, 31}, PPS: []byte{0x68}, Width: width, Height: height, Reorder: reorder,
		}}
	}
	header, err := codec.NewAV1([]byte("\x0a\x0b\x00\x00\x00\x04\x3c\xfe\xcc\xda\xf9\x00\x40"))
	if err != nil {
		t.Fatal(err)
	}
	av1 := &frame.Track{Codec: header}
	sound := &frame.Track{Codec: codec.StandardAAC()}
	const (
		twitch, youtube, facebook = "rtmp://live.twitch.tv/app/k", "rtmp://a.rtmp.youtube.com/live2/k", "rtmp://live-api-s.facebook.com/rtmp/k"
		ivs                       = "rtmps://a.global-contribute.live-video.net/app/k"
	)
	good := hub.Stats{KeyInterval: 2 * time.Second, Bitrate: 3e6, Tracks: []*frame.Track{h264(1280, 720, false), sound}}
	with := func(change func(*hub.Stats)) hub.Stats {
		st := good
		change(&st)
		return st
	}
	for name, c := range map[string]struct {
		address string
		st      hub.Stats
		want    []string
	}{
		"fits":              {twitch, good, nil},
		"unknown platform":  {"rtmp://x.example/app/k", with(func(s *hub.Stats) { s.KeyInterval = time.Minute }), nil},
		"not live":          {twitch, hub.Stats{}, nil},
		"key frames":        {twitch, with(func(s *hub.Stats) { s.KeyInterval = 4 * time.Second }), []string{"Twitch wants a key frame every 2 s or more often; this stream has one every 4.0 s."}},
		"fits elsewhere":    {youtube, with(func(s *hub.Stats) { s.KeyInterval = 4 * time.Second }), nil},
		"bitrate":           {twitch, with(func(s *hub.Stats) { s.Bitrate = 9e6 }), []string{"Twitch takes 6 Mbit/s at most; this stream has 9.0."}},
		"no sound":          {youtube, with(func(s *hub.Stats) { s.Tracks = s.Tracks[:1] }), []string{"YouTube expects sound; this stream has none, so silence is sent."}},
		"B-frames":          {ivs, with(func(s *hub.Stats) { s.Tracks = []*frame.Track{h264(1280, 720, true), sound} }), []string{"Amazon IVS wants no B-frames; this stream may have some."}},
		"B-frames are fine": {twitch, with(func(s *hub.Stats) { s.Tracks = []*frame.Track{h264(1280, 720, true), sound} }), nil},
		"portrait":          {twitch, with(func(s *hub.Stats) { s.Tracks = []*frame.Track{h264(1080, 1920, false), sound} }), nil},
		"too large":         {twitch, with(func(s *hub.Stats) { s.Tracks = []*frame.Track{h264(3840, 2160, false), sound} }), []string{"Twitch takes pictures of up to 1080 lines; these are 3840 by 2160."}},
		"Facebook's limits": {strings.Replace(facebook, "rtmp", "rtmps", 1), with(func(s *hub.Stats) { s.KeyInterval, s.Bitrate = 4*time.Second, 9e6 }), nil},
		"beyond Facebook's": {strings.Replace(facebook, "rtmp", "rtmps", 1), with(func(s *hub.Stats) { s.KeyInterval, s.Bitrate = 5*time.Second, 12e6 }), []string{
			"Facebook wants a key frame every 4 s or more often; this stream has one every 5.0 s.", "Facebook takes 9 Mbit/s at most; this stream has 12.0."}},
		"codec":       {facebook, with(func(s *hub.Stats) { s.Tracks = []*frame.Track{av1, sound} }), []string{"Facebook takes RTMPS only: the address must begin with rtmps://.", "Facebook takes H.264 only; this stream's video is AV1."}},
		"newer codec": {youtube, with(func(s *hub.Stats) { s.Tracks = []*frame.Track{av1, sound} }), nil},
	} {
		if got := Advise(c.address, c.st); strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
