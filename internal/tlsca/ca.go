// Package tlsca is the server's own certificate authority: a root made once and
// kept in a folder, and leaf certificates made when somebody asks for a name.
//
// A Public has one domain's certificate from an authority that browsers trust
// already (ACME), and the own one's for every other name.
//
// An Authority owns its keys and its cache of leaves; one lock guards the cache.
// It starts no goroutines and needs no Close. A Public owns the ACME account and
// its folder; what it renews, and the goroutines for that, are autocert's and last
// as long as the process.
package tlsca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// File is the name of the root's file: its certificate, then its private key.
const File = "ca.pem"

const (
	rootLife  = 10 * 365 * 24 * time.Hour
	leafLife  = 397 * 24 * time.Hour // the most that browsers accept
	renewLeft = 30 * 24 * time.Hour  // a leaf with less than that is made anew
	backdate  = time.Hour            // for clients whose clock is behind
	maxLeaves = 256                  // names come from strangers
)

// Config is what an Authority needs.
type Config struct {
	Dir   string           // folder of the root; made when missing, mode 0700
	Hosts []string         // names and addresses in every leaf, besides localhost; invalid ones are left out
	Now   func() time.Time // the clock
}

// Authority makes certificates. Its methods may be called from any goroutine.
type Authority struct {
	root  *x509.Certificate
	key   *ecdsa.PrivateKey
	hosts []string
	now   func() time.Time

	mu     sync.Mutex
	leaves map[string]*tls.Certificate // by asked name
}

// New loads the root from cfg.Dir, or makes one there (mode 0600) when there is
// none. A file that cannot be read as a root, or a root that has expired, is an
// error: a new root would lock out everybody who trusts the old one.
func New(cfg Config) (*Authority, error) {
	path := filepath.Join(cfg.Dir, File)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = makeRoot(path, cfg.Now())
	}
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	a := &Authority{now: cfg.Now, leaves: make(map[string]*tls.Certificate)}
	if a.root, a.key, err = parseRoot(text); err != nil {
		return nil, fmt.Errorf("certificate authority %s: %w", path, err)
	}
	if !cfg.Now().Before(a.root.NotAfter) {
		return nil, fmt.Errorf("certificate authority %s: expired on %s (remove the file to make a new one)",
			path, a.root.NotAfter.Format(time.DateOnly))
	}
	for _, host := range append([]string{"localhost"}, cfg.Hosts...) {
		if name, ok := hostName(host); ok {
			a.hosts = append(a.hosts, name)
		}
	}
	return a, nil
}

// PEM is the root's certificate, without its key. The caller owns the bytes.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.root.Raw})
}

// Fingerprint is the SHA-256 of the root's certificate, 32 pairs of capital hex
// digits between colons, as openssl and browsers show it.
func (a *Authority) Fingerprint() string {
	sum := sha256.Sum256(a.root.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

// TLS is a configuration for a listener that speaks the protocols (ALPN), none
// for those without negotiation. TLS 1.2 is the least.
func (a *Authority) TLS(protocols ...string) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: protocols, GetCertificate: a.certificate}
}

// certificate answers a handshake: a leaf for the asked name, or for the address
// on which the client reached us when it asks for none.
func (a *Authority) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	asked := hello.ServerName
	if asked == "" && hello.Conn != nil {
		if host, _, err := net.SplitHostPort(hello.Conn.LocalAddr().String()); err == nil {
			asked, _, _ = strings.Cut(host, "%") // without an IPv6 zone
		}
	}
	if asked == "" {
		asked = "localhost"
	}
	name, ok := hostName(asked)
	if !ok {
		return nil, errors.New("the name that the client asks for is not a host name")
	}
	return a.leaf(name)
}

// leaf returns the certificate for a valid name, new when there is none or it
// ends soon. A full cache starts over: making a leaf costs far less than the
// handshake that asked for it.
func (a *Authority) leaf(name string) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if have := a.leaves[name]; have != nil && have.Leaf.NotAfter.Sub(now) > renewLeft {
		return have, nil
	}
	made, err := a.makeLeaf(name, now)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	if len(a.leaves) >= maxLeaves {
		clear(a.leaves)
	}
	a.leaves[name] = made
	return made, nil
}

func (a *Authority) makeLeaf(name string, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	until := now.Add(leafLife - backdate)
	if until.After(a.root.NotAfter) {
		until = a.root.NotAfter
	}
	t := &x509.Certificate{
		Subject: pkix.Name{Organization: []string{"Glimpse"}}, NotBefore: now.Add(-backdate), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	seen := make(map[string]bool)
	for _, host := range append([]string{name}, a.hosts...) {
		if seen[host] {
			continue
		}
		seen[host] = true
		if ip := net.ParseIP(host); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, host)
		}
	}
	der, err := sign(t, a.root, &key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.root.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// makeRoot writes a new root to path and returns the file's text.
func makeRoot(path string, now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"Glimpse"}, CommonName: "Glimpse own CA"},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(rootLife), KeyUsage: x509.KeyUsageCertSign,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
	cert, err := sign(t, t, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	// By rename, so that a crash leaves no half file behind.
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return nil, err
	}
	return text, os.Rename(path+".new", path)
}

// sign gives the certificate a serial number of 127 bits.
func sign(t, parent *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) ([]byte, error) {
	var err error
	if t.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, err
	}
	return x509.CreateCertificate(rand.Reader, t, parent, public, key)
}

func parseRoot(text []byte) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	pair, err := tls.X509KeyPair(text, text) // checks that the key belongs to the certificate
	if err != nil {
		return nil, nil, err
	}
	root, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return nil, nil, err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !root.IsCA {
		return nil, nil, errors.New("not a certificate authority with an ECDSA key")
	}
	return root, key, nil
}

// hostName returns an IP address or a DNS name in its one spelling; false for
// anything else (RFC 1123: letters, digits and hyphens, 63 in a label, 253 in all).
func hostName(text string) (string, bool) {
	if ip := net.ParseIP(text); ip != nil {
		return ip.String(), !ip.IsUnspecified()
	}
	name := strings.ToLower(strings.TrimSuffix(text, "."))
	if name == "" || len(name) > 253 || net.ParseIP(name) != nil { // no address ends with a dot
		return "", false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return "", false
		}
	}
	return name, true
}
