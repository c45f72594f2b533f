package glasses

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
)

// trust is the TLS configuration for a certificate authority that the system does
// not know: a PEM file, beside the system's own, or the SHA-256 fingerprint of its
// certificate, as servers print it, and then of no other. "" is nil: the system's.
func trust(authority string) (*tls.Config, error) {
	if authority == "" {
		return nil, nil
	}
	print, err := hex.DecodeString(strings.ReplaceAll(authority, ":", ""))
	if err == nil && len(print) == sha256.Size {
		return byFingerprint(print), nil
	}
	pem, err := os.ReadFile(authority)
	if err != nil {
		return nil, fmt.Errorf("--ca is a PEM file or a SHA-256 fingerprint: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--ca %s: no certificate in it", authority)
	}
	return &tls.Config{RootCAs: roots}, nil
}

// byFingerprint trusts servers whose chain leads to the certificate with that
// fingerprint, which they must show.
func byFingerprint(print []byte) *tls.Config {
	return &tls.Config{
		InsecureSkipVerify: true, // VerifyConnection does it, for one authority
		VerifyConnection: func(state tls.ConnectionState) error {
			roots, between := x509.NewCertPool(), x509.NewCertPool()
			found := false
			for _, c := range state.PeerCertificates[1:] {
				if sum := sha256.Sum256(c.Raw); bytes.Equal(sum[:], print) {
					roots.AddCert(c)
					found = true
				}
				between.AddCert(c)
			}
			if !found {
				return errors.New("the server shows no certificate of the authority with that fingerprint")
			}
			_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
				DNSName: state.ServerName, Roots: roots, Intermediates: between,
			})
			return err
		},
	}
}
