package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glimpse/internal/config"
)

// A client that trusts the downloaded root speaks HTTP/2, and ffmpeg that trusts
// it publishes.
func TestTLS(t *testing.T) {
	cfg := testConfig(t)
	cfg.Streams = []config.Stream{{Name: "secure", IngestKey: "secure-key-1", PlaybackID: "secure-play-1"}}
	s, err := New(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended, greeting := make(chan error, 1), &lockedBuffer{}
	go func() { ended <- s.Run(ctx, greeting) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	root := fetch(t, http.DefaultClient, s.URL()+"/ca.pem", "HTTP/1.1")
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(root) {
		t.Fatalf("not a certificate: %s", root)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	defer http.DefaultClient.CloseIdleConnections()
	fetch(t, &http.Client{Transport: transport}, "https://"+s.tls.listener.Addr().String()+"/healthz", "HTTP/2.0")
	eventually(t, "the fingerprint is printed", func() bool {
		return strings.Contains(greeting.String(), s.tls.authority.Fingerprint())
	})

	file := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(file, root, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, trust := range map[string][]string{
		"any": {"-tls_verify", "0"}, "root": {"-tls_verify", "1", "-ca_file", file},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		args := append([]string{"-v", "error", "-f", "lavfi", "-i", "testsrc=s=160x120:r=15:d=1", "-c:v", "libx264", "-f", "flv"}, trust...)
		out, err := exec.CommandContext(ctx, "ffmpeg", append(args, "rtmps://"+s.tls.rtmp.Addr().String()+"/live/"+"secure-key-1")...).CombinedOutput()
		cancel()
		if err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

func fetch(t *testing.T, c *http.Client, url, proto string) []byte {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || resp.Proto != proto {
		t.Fatalf("%s: %s %s, %v", url, resp.Proto, resp.Status, err)
	}
	return body
}
