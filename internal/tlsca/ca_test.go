package tlsca

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// clock is a clock that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func authority(t *testing.T, dir string, c *clock) *Authority {
	t.Helper()
	a, err := New(Config{Dir: dir, Hosts: []string{"cloud.example", "bad name", "192.0.2.1"}, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newClock() *clock { return &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

// The root lives through a restart, and nobody else may read its key.
func TestRootIsKept(t *testing.T) {
	dir, c := filepath.Join(t.TempDir(), "tls"), newClock()
	first, second := authority(t, dir, c), authority(t, dir, c)
	if first.Fingerprint() != second.Fingerprint() || len(first.Fingerprint()) != 32*3-1 {
		t.Errorf("fingerprints %s and %s", first.Fingerprint(), second.Fingerprint())
	}
	info, err := os.Stat(filepath.Join(dir, File))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file %v, %v", info.Mode(), err)
	}
	if strings.Contains(string(first.PEM()), "PRIVATE") {
		t.Error("the public certificate holds the key")
	}
}

func TestRootIsRefused(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	authority(t, dir, c)
	c.at = c.at.Add(rootLife)
	if _, err := New(Config{Dir: dir, Now: c.now}); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("expired root: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, File), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Dir: dir, Now: c.now}); err == nil {
		t.Error("a broken file was taken, or replaced")
	}
}

// A client that trusts the root accepts the leaf for what it asked, and for the
// configured hosts.
func TestLeafNames(t *testing.T) {
	c := newClock()
	a := authority(t, t.TempDir(), c)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.PEM())
	for asked, names := range map[string][]string{
		"":             {"localhost", "cloud.example", "192.0.2.1"},
		"Box.Example.": {"box.example", "localhost", "cloud.example"},
		"127.0.0.1":    {"127.0.0.1", "localhost"},
		"::1":          {"::1", "localhost"},
	} {
		cert, err := a.certificate(&tls.ClientHelloInfo{ServerName: asked})
		if err != nil {
			t.Fatalf("%q: %v", asked, err)
		}
		if life := cert.Leaf.NotAfter.Sub(cert.Leaf.NotBefore); life > leafLife {
			t.Errorf("%q: lives %v", asked, life)
		}
		for _, name := range names {
			if _, err := cert.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: c.at}); err != nil {
				t.Errorf("%q for %s: %v", asked, name, err)
			}
		}
	}
}

func TestBadNames(t *testing.T) {
	a := authority(t, t.TempDir(), newClock())
	for _, name := range []string{"a b", "*.example", "a..b", "-a", "a-", "a_b", "0.0.0.0", "ü", ".",
		strings.Repeat("a", 64), strings.Repeat("a.", 127) + "a"} {
		if _, err := a.certificate(&tls.ClientHelloInfo{ServerName: name}); err == nil {
			t.Errorf("%q has a certificate", name)
		}
	}
}

// A leaf is kept until 30 days before its end.
func TestLeafIsRenewed(t *testing.T) {
	c := newClock()
	a := authority(t, t.TempDir(), c)
	get := func() string {
		cert, err := a.leaf("x.example")
		if err != nil {
			t.Fatal(err)
		}
		return cert.Leaf.SerialNumber.String()
	}
	first := get()
	c.at = c.at.Add(leafLife - backdate - renewLeft - time.Second)
	if get() != first {
		t.Error("renewed too early")
	}
	c.at = c.at.Add(time.Second)
	if get() == first {
		t.Error("not renewed")
	}
}

func TestCacheIsBounded(t *testing.T) {
	a := authority(t, t.TempDir(), newClock())
	for i := range maxLeaves + 1 {
		if _, err := a.leaf(fmt.Sprintf("n%d.example", i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.leaves) != 1 {
		t.Errorf("%d leaves are kept", len(a.leaves))
	}
}

func FuzzHostName(f *testing.F) {
	for _, seed := range []string{"a.example", "A.", "::1", "*.x", "", "-", "xn--a", "0.0.0.0.", "127.0.0.1."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, ok := hostName(text)
		if !ok {
			return
		}
		if again, ok := hostName(name); !ok || again != name {
			t.Errorf("%q became %q, then %q, %v", text, name, again, ok)
		}
	})
}
