package glasses

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// echo answers every datagram.
func echo(t *testing.T) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	go func() {
		b := make([]byte, 2000)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			pc.WriteTo(b[:n], from)
		}
	}()
	return pc.LocalAddr().String()
}

// ask sends a datagram and says whether an answer comes.
func ask(t *testing.T, c net.PacketConn, to net.Addr, patience time.Duration) bool {
	t.Helper()
	if _, err := c.WriteTo([]byte("ping"), to); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 100)
	_, _, err := c.ReadFrom(b)
	return err == nil
}

// Datagrams are lost while the network is, both those of WebRTC's sockets and
// those through a relay, and pass again afterwards on the same sockets.
func TestDatagramsAreLostWithTheNetwork(t *testing.T) {
	n := newNetwork((&net.Dialer{}).DialContext, time.Second)
	defer n.close()
	peer := echo(t)
	sockets, err := n.Sockets()
	if err != nil {
		t.Fatal(err)
	}
	direct, err := sockets.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close()
	at, closeRelay, err := n.Relay(context.Background(), peer)
	if err != nil {
		t.Fatal(err)
	}
	defer closeRelay()
	client, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, c := range []struct {
		name string
		conn net.PacketConn
		to   string
	}{{"socket", direct, peer}, {"relay", client, at}} {
		to, err := net.ResolveUDPAddr("udp", c.to)
		if err != nil {
			t.Fatal(err)
		}
		if !ask(t, c.conn, to, 10*time.Second) {
			t.Errorf("%s: no answer", c.name)
		}
		n.drop(time.Hour)
		if ask(t, c.conn, to, 50*time.Millisecond) {
			t.Errorf("%s: an answer without a network", c.name)
		}
		n.drop(0)
		if !ask(t, c.conn, to, 10*time.Second) {
			t.Errorf("%s: no answer after the network came back", c.name)
		}
	}
}

// An authority is trusted by its certificate or by its fingerprint, and no other.
func TestTrust(t *testing.T) {
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	// The test server's certificate is its own authority; it shows itself twice, as
	// ours show leaf and root.
	leaf := srv.TLS.Certificates[0].Certificate[0]
	srv.TLS.Certificates[0].Certificate = [][]byte{leaf, leaf}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf}), 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(leaf)
	var colons []string
	for _, b := range sum {
		colons = append(colons, strings.ToUpper(hex.EncodeToString([]byte{b})))
	}
	sum[0]++
	for _, c := range []struct {
		name, ca, host string
		ok             bool
	}{
		{"file", file, "127.0.0.1", true},
		{"fingerprint", strings.Join(colons, ":"), "127.0.0.1", true},
		{"another host", strings.Join(colons, ":"), "elsewhere.test", false},
		{"another fingerprint", hex.EncodeToString(sum[:]), "127.0.0.1", false},
		{"the system's", "", "127.0.0.1", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := trust(c.ca)
			if err != nil {
				t.Fatal(err)
			}
			if cfg == nil {
				cfg = &tls.Config{}
			}
			cfg.ServerName = c.host
			conn, err := tls.Dial("tcp", srv.Listener.Addr().String(), cfg)
			if err == nil {
				conn.Close()
			}
			if (err == nil) != c.ok {
				t.Errorf("%v", err)
			}
		})
	}
	if _, err := trust(t.TempDir()); err == nil {
		t.Error("a folder is trusted")
	}
}

// What real servers answer to a start is told by the protocol's name, and what a
// film cannot give is said.
func TestSoundOfTargets(t *testing.T) {
	for target, want := range map[string]string{
		"rtmp://h/a/k": "AAC", "rtmps://h/a/k": "AAC", "srt://h:1": "AAC", "https://h/whip": "Opus", "http://h/whip": "Opus",
	} {
		if got := soundFor(target); got != want {
			t.Errorf("%s: %s", target, got)
		}
	}
	film := clipSource(t)
	for _, name := range []string{"AAC", "Opus"} {
		if tracks := film.WithSound(name).Tracks(); len(tracks) != 2 || tracks[1].Codec.Name() != name {
			t.Errorf("the clip in %s: %d tracks", name, len(tracks))
		}
	}
	if n := len(film.WithSound("MP3").Tracks()); n != 1 {
		t.Errorf("the clip in MP3: %d tracks", n)
	}
}
