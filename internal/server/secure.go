package server

import (
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"glimpse/internal/media/rtmp"
	"glimpse/internal/tlsca"
)

// secure is what listens over TLS; all of it is nil when both are off.
type secure struct {
	authority *tlsca.Authority
	public    *tlsca.Public // certificates of https.domain; nil without one
	listener  net.Listener  // HTTPS; nil when off
	rtmp      *rtmp.Server  // RTMPS; nil when off
}

// listenTLS opens the listeners over TLS. The authority is made, and its file
// written, only when one of them is on.
func (s *Server) listenTLS() error {
	if s.cfg.HTTPS.Addr == "" && s.cfg.RTMPS.Addr == "" {
		return nil
	}
	hosts := s.candidates()
	if name, err := os.Hostname(); err == nil {
		hosts = append(hosts, name)
	}
	var err error
	s.tls.authority, err = tlsca.New(tlsca.Config{Dir: filepath.Join(s.cfg.DataDir, "tls"), Hosts: hosts, Now: time.Now})
	if err != nil {
		return err
	}
	config := s.tls.authority.TLS
	if domain := s.cfg.HTTPS.Domain; domain != "" {
		s.tls.public = tlsca.NewPublic(tlsca.PublicConfig{
			Domain: domain, Directory: s.cfg.HTTPS.Directory, Dir: filepath.Join(s.cfg.DataDir, "tls", "public"),
			Own: s.tls.authority, Log: s.log,
		})
		config = s.tls.public.TLS
	}
	if s.cfg.HTTPS.Addr != "" {
		l, err := listenTCP(s.cfg.HTTPS.Addr, s.unread)
		if err != nil {
			return busy("https.addr", err)
		}
		s.tls.listener = tls.NewListener(s.gate.Door(costHTTP+costTLS).Listener(l), config("h2", "http/1.1"))
	}
	if s.cfg.RTMPS.Addr != "" {
		cfg := rtmp.Config{Addr: s.cfg.RTMPS.Addr, TLS: config(), Door: s.gate.Door(costRTMP + costTLS)}
		if s.tls.rtmp, err = rtmp.New(cfg, s.media.hub, s.log); err != nil {
			return busy("rtmps.addr", err)
		}
	}
	return nil
}

// serveRoot is the certificate that clients have to trust. It is public.
func (t *secure) serveRoot(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/x-pem-file")
	_, _ = w.Write(t.authority.PEM()) // the client may have left
}

// greetTLS prints the listeners over TLS that are on, and whom to trust.
func (s *Server) greetTLS(line func(name, value string)) {
	if s.tls.authority == nil {
		return
	}
	if s.tls.listener != nil {
		line("HTTPS", s.secureURL())
	}
	if s.tls.rtmp != nil {
		line("RTMPS", s.tls.rtmp.Addr().String())
	}
	line("CA", s.URL()+"/ca.pem   (SHA-256 "+s.tls.authority.Fingerprint()+")")
}
