package server

import (
	"fmt"
	"io"
	"net"
	"strings"

	"glimpse/internal/control/api"
)

var _ api.Server = (*Server)(nil)

// Info is what the server serves now.
func (s *Server) Info() api.Info {
	info := api.Info{Version: Version, Started: s.started.UTC(), Notices: s.notices()}
	if s.listener != nil {
		info.HTTP.Addr = s.listener.Addr().String()
	}
	const off = "switched off: its address is empty"
	info.HTTPS.Why, info.RTMP.Why, info.RTMPS.Why, info.SRT.Why, info.WebRTC.Why = off, off, off, off, off
	if s.tls.listener != nil {
		info.HTTPS = api.Listener{Addr: s.tls.listener.Addr().String()}
	}
	if s.media.rtmp != nil {
		info.RTMP = api.Listener{Addr: s.media.rtmp.Addr().String()}
	}
	if s.tls.rtmp != nil {
		info.RTMPS = api.Listener{Addr: s.tls.rtmp.Addr().String()}
	}
	if s.media.srt != nil {
		info.SRT = api.Listener{Addr: s.media.srt.Addr().String()}
	}
	if s.media.webrtc != nil {
		info.WebRTC = api.Listener{Addr: s.media.webrtc.Addr().String()}
	}
	return info
}

// Ready is false while the server drains.
func (s *Server) Ready() bool { return !s.draining.Load() }

// notices say what is off or missing, and why.
func (s *Server) notices() []string {
	var notices []string
	if err := s.media.transcode.Available(); err != nil {
		notices = append(notices, "No sound in WebRTC and no thumbnails: "+err.Error()+".")
	}
	for _, l := range s.losses {
		notice := fmt.Sprintf("The store was damaged, %s is lost: %s.", l.What, l.Why)
		if l.MovedTo != "" {
			notice += " Its files are in " + l.MovedTo + "."
		}
		notices = append(notices, notice)
	}
	return notices
}

// URL is where this machine reaches the server: the public address, or the
// listener's.
func (s *Server) URL() string {
	if s.cfg.HTTP.PublicURL != "" {
		return strings.TrimSuffix(s.cfg.HTTP.PublicURL, "/")
	}
	return "http://" + local(s.listener.Addr())
}

// secureURL is where this machine reaches the HTTPS listener, which is on.
func (s *Server) secureURL() string {
	at := local(s.tls.listener.Addr())
	if s.cfg.HTTPS.Domain == "" {
		return "https://" + at
	}
	_, port, err := net.SplitHostPort(at)
	if err != nil || port == "443" {
		return "https://" + s.cfg.HTTPS.Domain
	}
	return "https://" + net.JoinHostPort(s.cfg.HTTPS.Domain, port)
}

// local is a listener's address with localhost for every address.
func local(addr net.Addr) string {
	hostname, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	if ip := net.ParseIP(hostname); ip == nil || ip.IsUnspecified() {
		hostname = "localhost"
	}
	return net.JoinHostPort(hostname, port)
}

// greet prints where everything is.
func (s *Server) greet(out io.Writer) {
	base, info := s.URL(), s.Info()
	line := func(name, value string) { fmt.Fprintf(out, "  %-10s %s\n", name, value) }
	fmt.Fprintf(out, "Glimpse %s is up.\n\n", Version)
	line("Dashboard", base+"/#token="+s.logins.NewToken()+"   (for one login within 10 minutes)")
	line("API", base+"/api/v1")
	line("Apps", "ws"+strings.TrimPrefix(base, "http")+"/app-ws")
	line("Glasses", "ws"+strings.TrimPrefix(base, "http")+"/glasses-ws")
	if at := s.endpoints(base).Ingest("<key>", "").RTMP; at != "" {
		line("RTMP", strings.TrimSuffix(at, "/%3Ckey%3E")+"/<key>")
	} else {
		line("RTMP", "off")
	}
	if at := s.endpoints(base).Ingest("<key>", "").SRT; at != "" {
		line("SRT", at)
	} else {
		line("SRT", "off")
	}
	if info.WebRTC.Addr != "" {
		line("WebRTC", info.WebRTC.Addr+"/udp and tcp")
		line("WHIP", base+"/whip/<key>")
	} else {
		line("WebRTC", "off")
	}
	s.greetTLS(line)
	line("Data", s.cfg.DataDir)
	for _, n := range info.Notices {
		line("Note", n)
	}
	fmt.Fprintln(out)
}
