package restream

import (
	"fmt"
	"strings"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/flv"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

// Platform is what a service asks of the streams that it takes. Zero fields ask
// nothing.
type Platform struct {
	Name    string
	hosts   []string // a host is one of these, or ends with one that begins with a dot
	key     time.Duration
	bitrate float64 // bit/s at most, of picture and sound
	secure  bool    // only RTMPS
	flat    bool    // no B-frames
	newer   bool    // also codecs that RTMP carries only with four-character codes
	height  int     // of the picture's shorter side, at most
}

// platforms are the known ones; the first that fits counts. Sources, as of 2026:
//
//   - YouTube: support.google.com/youtube/answer/2853702. Key frames at most 4 s apart;
//     up to 40 Mbit/s at 2160p60; H.264, H.265 and AV1.
//   - Twitch: help.twitch.tv, "Broadcasting Guidelines". 2 s, 6 Mbit/s.
//   - Amazon IVS: docs.aws.amazon.com/ivs, "Streaming Configuration" and "Stream
//     Ingest". 2 s, 8.5 Mbit/s, 1080 lines, H.264; what is sent to a stage with
//     B-frames is disconnected. Kick's ingest, as encoders have it, is a channel of IVS.
//   - Facebook: developers.facebook.com/docs/live-video-api/reference. RTMPS, H.264,
//     2 s recommended and 4 s at most, up to 9 Mbit/s at 1080p60.
//   - X and TikTok: no public page of theirs says it; the figures have no
//     source.
func platforms() []Platform {
	return []Platform{
		{Name: "YouTube", hosts: []string{".youtube.com"}, key: 4 * time.Second, bitrate: 40e6, newer: true},
		{Name: "Twitch", hosts: []string{".twitch.tv", "ingest.global-contribute.live-video.net", ".contribute.live-video.net"}, key: 2 * time.Second, bitrate: 6e6, height: 1080},
		{Name: "Kick", hosts: []string{"fa723fc1b171.global-contribute.live-video.net"}, key: 2 * time.Second, bitrate: 8.5e6, height: 1080},
		{Name: "Amazon IVS", hosts: []string{".global-contribute.live-video.net"}, key: 2 * time.Second, bitrate: 8.5e6, flat: true, height: 1080},
		{Name: "Facebook", hosts: []string{".facebook.com"}, key: 4 * time.Second, bitrate: 9e6, secure: true, height: 1080},
		{Name: "X", hosts: []string{".pscp.tv", ".x.com"}, key: 3 * time.Second, bitrate: 12e6, height: 1080},
		{Name: "TikTok", hosts: []string{".tiktokcdn.com", ".tiktokcdn-us.com", ".tiktokv.com", ".tiktok.com"}, key: 2 * time.Second, bitrate: 6e6, height: 1080},
	}
}

// PlatformOf knows a platform by an address's host; ok is false for others.
func PlatformOf(address string) (p Platform, ok bool) {
	host, _ := hostOf(address)
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, p := range platforms() {
		for _, h := range p.hosts {
			if host == h || h[0] == '.' && strings.HasSuffix(host, h) {
				return p, true
			}
		}
	}
	return Platform{}, false
}

// slack is how far a measured value may be over the platform's before it is said:
// encoders keep to it on average.
const slack = 1.1

// Advise compares a stream with what the platform of an address asks for: a
// sentence for each thing that viewers there would notice. None for a stream that
// is not live, or a platform that is not known.
func Advise(address string, st hub.Stats) []string {
	p, known := PlatformOf(address)
	var video codec.Video
	var track *frame.Track
	sound := false
	for _, t := range st.Tracks {
		if t.Kind() == frame.Audio {
			sound = true
		} else if v, ok := t.Codec.(codec.Video); ok {
			track, video = t, v
		}
	}
	if !known || video == nil {
		return nil
	}
	return p.judge(strings.HasPrefix(address, "rtmp://"), st, track.Codec, video, sound)
}

func (p Platform) judge(plain bool, st hub.Stats, is frame.Codec, video codec.Video, sound bool) []string {
	var list []string
	say := func(format string, args ...any) { list = append(list, p.Name+" "+fmt.Sprintf(format, args...)) }
	if p.secure && plain {
		say("takes RTMPS only: the address must begin with rtmps://.")
	}
	if p.key > 0 && st.KeyInterval.Seconds() > p.key.Seconds()*slack {
		say("wants a key frame every %g s or more often; this stream has one every %.1f s.", p.key.Seconds(), st.KeyInterval.Seconds())
	}
	if p.bitrate > 0 && st.Bitrate > p.bitrate*slack {
		say("takes %g Mbit/s at most; this stream has %.1f.", p.bitrate/1e6, st.Bitrate/1e6)
	}
	if f, ok := is.(flv.Codec); !p.newer && (!ok || flv.FourCC(f) != "") {
		say("takes H.264 only; this stream's video is %s.", is.Name())
	}
	if w, h := video.Size(); p.height > 0 && min(w, h) > p.height {
		say("takes pictures of up to %d lines; these are %d by %d.", p.height, w, h)
	}
	if c, ok := is.(*codec.H264); ok && c.Reorder && p.flat {
		say("wants no B-frames; this stream may have some.")
	}
	if !sound {
		say("expects sound; this stream has none, so silence is sent.")
	}
	return list
}
