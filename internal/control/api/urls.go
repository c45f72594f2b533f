package api

import (
	"net"
	"net/url"
	"strconv"
)

// Endpoints makes the URLs of streams as one peer sees this server. The URL of
// a listener or feature that does not exist is empty.
type Endpoints struct {
	Base      string // "http://host:port" or https, without a path
	RTMPPort  int    // 0: no RTMP
	RTMPSPort int    // 0: no RTMPS
	SRTPort   int    // 0: no SRT
	WebRTC    bool   // whether WHIP and WHEP answer
}

// IngestURLs is where a stream can be published; each is a complete URL with
// the ingest key, so all of them are secrets.
type IngestURLs struct {
	RTMP  string `json:"rtmp,omitempty" doc:"For OBS, ffmpeg and other encoders. Secret: it holds the ingest key."`
	RTMPS string `json:"rtmps,omitempty" doc:"RTMP over TLS. Secret, as rtmp."`
	SRT   string `json:"srt,omitempty" doc:"MPEG-TS over SRT, for networks that lose packets. Secret, as rtmp: it holds the passphrase too, if there is one."`
	WHIP  string `json:"whip,omitempty" doc:"WebRTC, by POST of an SDP offer: browsers, OBS, GStreamer. Secret, as rtmp."`
}

// PlaybackURLs is where a stream can be watched.
type PlaybackURLs struct {
	Page      string `json:"page,omitempty" doc:"The player, for humans."`
	WHEP      string `json:"whep,omitempty" doc:"WebRTC, by POST of an SDP offer."`
	HLS       string `json:"hls,omitempty" doc:"Low-latency HLS."`
	DASH      string `json:"dash,omitempty" doc:"MPEG-DASH."`
	Thumbnail string `json:"thumbnail,omitempty" doc:"The newest key frame as JPEG."`
	RTMP      string `json:"rtmp,omitempty"`
	RTMPS     string `json:"rtmps,omitempty"`
	SRT       string `json:"srt,omitempty" doc:"Holds the passphrase, if there is one."`
}

// Ingest returns the URLs for an ingest key; the passphrase is SRT's, or empty.
func (e Endpoints) Ingest(key, passphrase string) IngestURLs {
	u := IngestURLs{RTMP: e.rtmp("rtmp", e.RTMPPort, key), RTMPS: e.rtmp("rtmps", e.RTMPSPort, key), SRT: e.srt("publish:"+key, passphrase)}
	if e.WebRTC {
		u.WHIP = e.Base + "/whip/" + url.PathEscape(key)
	}
	return u
}

// Playback returns the URLs for a playback id; the passphrase is SRT's, or empty.
func (e Endpoints) Playback(id, passphrase string) PlaybackURLs {
	at := e.Base + "/live/" + url.PathEscape(id) + "/"
	u := PlaybackURLs{Page: at, HLS: at + "index.m3u8", DASH: at + "index.mpd", Thumbnail: at + "thumbnail.jpg",
		RTMP: e.rtmp("rtmp", e.RTMPPort, id), RTMPS: e.rtmp("rtmps", e.RTMPSPort, id), SRT: e.srt("read:"+id, passphrase)}
	if e.WebRTC {
		u.WHEP = at + "whep"
	}
	return u
}

func (e Endpoints) rtmp(scheme string, port int, name string) string {
	base, err := url.Parse(e.Base)
	if err != nil || port == 0 {
		return ""
	}
	host := net.JoinHostPort(base.Hostname(), strconv.Itoa(port))
	return scheme + "://" + host + "/live/" + url.PathEscape(name)
}

// srt is the URL with a stream id, which needs no escaping: names have no
// characters that mean something in a query, and encoders undo no escapes.
func (e Endpoints) srt(streamID, passphrase string) string {
	base, err := url.Parse(e.Base)
	if err != nil || e.SRTPort == 0 {
		return ""
	}
	if passphrase != "" {
		passphrase = "&passphrase=" + passphrase
	}
	return "srt://" + net.JoinHostPort(base.Hostname(), strconv.Itoa(e.SRTPort)) + "?streamid=" + streamID + passphrase
}

// Endpoints are what a server with these listeners offers under a base address.
func (i Info) Endpoints(base string) Endpoints {
	return Endpoints{Base: base, RTMPPort: i.RTMP.port(), RTMPSPort: i.RTMPS.port(), SRTPort: i.SRT.port(), WebRTC: i.WebRTC.Addr != ""}
}

// endpoints are those of one request.
func (a *API) endpoints(base string) Endpoints { return a.deps.Server.Info().Endpoints(base) }
