package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A browser that trusts the printed authority, and nothing else, watches over
// HTTPS: the page is a secure context, everything comes by HTTP/2, and both ways
// to watch work.
func TestPlayerPageByHTTPS(t *testing.T) {
	parallel(t, browsers)
	c := startCloud(t, "https: {addr: \"127.0.0.1:0\"}\n")
	m, _ := c.waitLine(`(https://127\.0\.0\.1:\d+)`, 0)
	fingerprint, _ := c.waitLine(`/ca\.pem +\(SHA-256 ([0-9A-F:]+)\)`, 0)
	block, _ := pem.Decode(fetchOK(t, c.url+"/ca.pem"))
	if block == nil {
		t.Fatal("ca.pem is not PEM")
	}
	if sum := sha256.Sum256(block.Bytes); strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":") != fingerprint[1] {
		t.Errorf("the start prints %s, ca.pem is another certificate", fingerprint[1])
	}
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	key := sha256.Sum256(root.RawSubjectPublicKeyInfo)
	b := startBrowser(t, base64.StdEncoding.EncodeToString(key[:]))
	s := c.newStream()
	publish(t, s.Ingest["rtmp"])
	page := strings.Replace(s.Play["page"], c.url, m[1], 1)
	for protocol, query := range map[string]string{"webrtc": "", "hls": "?protocol=hls"} {
		b.do(nil, "open", protocol, page+query)
		b.waitPlayer(protocol, "glimpse.state === 'live' && glimpse.protocol === '"+protocol+"'")
		b.do(nil, "click", protocol, "text=/sound on/i")
		b.wantPlaying(protocol)
		b.wantNoFaults(protocol)
		var came string
		b.do(&came, "eval", protocol, `isSecureContext + ' by ' +
			[...new Set(performance.getEntriesByType('resource').map((e) => e.nextHopProtocol).filter(Boolean))].join()`)
		if came != "true by h2" {
			t.Errorf("%s: secure context %s, want everything by HTTP/2", protocol, came)
		}
		b.do(nil, "close", protocol)
	}
}

// A domain's certificate comes from an authority that speaks ACME (Pebble, the
// test server of Let's Encrypt, stands in for theirs), serves HTTPS and RTMPS,
// and is kept over a restart; other names get the own authority's.
func TestPublicCertificate(t *testing.T) {
	parallel(t, waiting)
	const domain = "cloud.example.test"
	ca := startACME(t)
	rtmps := freeAddr(t)
	c := startCloud(t, fmt.Sprintf("https: {addr: %q, domain: %s, directory: %q}\nrtmps: {addr: %q}\n",
		ca.challenges, domain, ca.directory, rtmps), "SSL_CERT_FILE="+ca.certificate)
	if got := issuer(t, ca.challenges, domain, "h2"); !strings.HasPrefix(got, "Pebble Intermediate CA") {
		t.Errorf("HTTPS as %s: issued by %q", domain, got)
	}
	if got := issuer(t, rtmps, domain, ""); !strings.HasPrefix(got, "Pebble Intermediate CA") {
		t.Errorf("RTMPS as %s: issued by %q", domain, got)
	}
	for _, name := range []string{"", "localhost", "other.example.test"} {
		if got := issuer(t, ca.challenges, name, "h2"); !strings.HasPrefix(got, "Glimpse") {
			t.Errorf("HTTPS as %q: issued by %q, want the own authority", name, got)
		}
	}
	ca.stop()
	c.stop()
	c.process = start(t, "glimpse serve again", nil, binary, "serve", "--config", c.config)
	c.waitLine(`https://`+domain, 0)
	if got := issuer(t, ca.challenges, domain, "h2"); !strings.HasPrefix(got, "Pebble Intermediate CA") {
		t.Errorf("after a restart without the authority: issued by %q", got)
	}
}

// Without the authority people still reach the server, with the own certificate,
// and the log says why.
func TestPublicCertificateUnavailable(t *testing.T) {
	parallel(t, waiting)
	const domain = "cloud.example.test"
	at := freeAddr(t)
	c := startCloud(t, fmt.Sprintf("https: {addr: %q, domain: %s, directory: \"https://%s/dir\"}\n", at, domain, freeAddr(t)))
	if got := issuer(t, at, domain, "h2"); !strings.HasPrefix(got, "Glimpse") {
		t.Errorf("issued by %q, want the own authority", got)
	}
	c.waitLine(`no certificate from the public authority.*`+domain, 0)
}

// issuer is the organisation or name of who issued the certificate that a
// listener shows for a name.
func issuer(t *testing.T, addr, name, protocol string) string {
	t.Helper()
	cfg := &tls.Config{ServerName: name, InsecureSkipVerify: true} // the issuer is what is looked at
	if protocol != "" {
		cfg.NextProtos = []string{protocol}
	}
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", addr, cfg)
	if err != nil {
		t.Fatalf("TLS with %s as %q: %v", addr, name, err)
	}
	defer conn.Close()
	state := conn.ConnectionState()
	if state.NegotiatedProtocol != protocol {
		t.Errorf("TLS with %s as %q speaks %q, want %q", addr, name, state.NegotiatedProtocol, protocol)
	}
	by := state.PeerCertificates[0].Issuer
	return strings.Join(append(by.Organization, by.CommonName), " ")
}

// acme is a running Pebble, and the port at which it looks for answers to its
// challenges.
type acme struct {
	*process
	directory, certificate, challenges string
}

func startACME(t *testing.T) *acme {
	t.Helper()
	dir := t.TempDir()
	dns, addr := freeAddr(t), freeAddr(t)
	a := &acme{directory: "https://" + addr + "/dir", certificate: filepath.Join(dir, "cert.pem"), challenges: freeAddr(t)}
	key := filepath.Join(dir, "key.pem")
	selfSigned(t, a.certificate, key)
	_, port, err := net.SplitHostPort(a.challenges)
	if err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": addr, "managementListenAddress": "", "certificate": a.certificate, "privateKey": key,
		"httpPort": 1, "tlsPort": json.Number(port), "keyAlgorithm": "ecdsa",
		"retryAfter": map[string]int{"authz": 1, "order": 1}, // the first who asks is let go after 5 s
		"profiles":   map[string]any{"default": map[string]any{"description": "of the test", "validityPeriod": 7776000}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pebble.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, "names for pebble", nil, goTool(t, "acme", "pebble-challtestsrv"), "-dnsserver", dns, "-defaultIPv4", "127.0.0.1",
		"-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-management", freeAddr(t))
	a.process = start(t, "pebble", []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0"}, goTool(t, "acme", "pebble"), "-config", file, "-dnsserver", dns)
	a.waitLine(`ACME directory available`, 0)
	return a
}

// goTool builds a program of others, pinned by a module in tools, and returns its
// path.
func goTool(t *testing.T, module, name string) string {
	t.Helper()
	var said bytes.Buffer // also of downloads that succeed
	cmd := exec.CommandContext(t.Context(), "go", "tool", "-modfile=../tools/"+module+"/go.mod", "-n", name)
	cmd.Stderr = &said
	path, err := cmd.Output()
	if err != nil {
		t.Fatalf("build %s: %v: %s", name, err, &said)
	}
	return strings.TrimSpace(string(path))
}

// freeAddr is an address of loopback that is free now, for programs that cannot
// say which port they got.
func freeAddr(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", freePort(t))
}

// selfSigned writes a certificate for 127.0.0.1 and its key.
func selfSigned(t *testing.T, certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
