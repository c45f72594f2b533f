package tlsca

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
	"golang.org/x/time/rate"
)

// PublicConfig is what a Public needs.
type PublicConfig struct {
	Domain    string // the one name that certificates are asked for
	Directory string // the ACME directory's URL; empty: Let's Encrypt
	Dir       string // folder of the account's key and the certificates; made when missing, mode 0700
	Own       *Authority
	Log       *slog.Logger
}

// Public has the certificate of one domain from an authority that browsers trust
// already (ACME, RFC 8555), and the own authority's for every other name: on the
// local network people reach the same server by its address. Nothing is asked of
// the authority before a client asks for the domain, and the certificate is kept
// and renewed. All methods may be called from any goroutine.
type Public struct {
	domain  string
	own     *Authority
	manager *autocert.Manager
	log     *slog.Logger
	often   rate.Sometimes
}

// NewPublic makes one. To configure a domain is to agree to the authority's terms.
func NewPublic(cfg PublicConfig) *Public {
	p := &Public{
		domain: strings.ToLower(cfg.Domain), own: cfg.Own, log: cfg.Log,
		often: rate.Sometimes{Interval: time.Minute},
		manager: &autocert.Manager{
			Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(cfg.Dir), HostPolicy: autocert.HostWhitelist(cfg.Domain),
		},
	}
	if cfg.Directory != "" {
		p.manager.Client = &acme.Client{DirectoryURL: cfg.Directory}
	}
	return p
}

// TLS is like Authority.TLS. Only a configuration with protocols answers the
// authority's challenges on its listener (TLS-ALPN-01, RFC 8737).
func (p *Public) TLS(protocols ...string) *tls.Config {
	if len(protocols) > 0 {
		protocols = append(slices.Clone(protocols), acme.ALPNProto)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: protocols, GetCertificate: p.certificate}
}

// Challenges answers the authority's challenges by plain HTTP (HTTP-01, RFC 8555
// §8.3) and passes every other request on.
func (p *Public) Challenges(next http.Handler) http.Handler { return p.manager.HTTPHandler(next) }

// certificate falls back to the own authority when the public one has none for
// us: a warning in the browser is better than no stream, and the log says why.
func (p *Public) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	challenge := slices.Contains(hello.SupportedProtos, acme.ALPNProto)
	if !challenge && !strings.EqualFold(hello.ServerName, p.domain) {
		return p.own.certificate(hello)
	}
	cert, err := p.manager.GetCertificate(hello)
	if err == nil || challenge {
		return cert, err
	}
	p.often.Do(func() {
		p.log.Warn("no certificate from the public authority; serving the own one", "domain", p.domain, "error", err)
	})
	return p.own.certificate(hello)
}
