package outbound

import (
	"errors"
	"net"
	"net/netip"
	"testing"
)

func TestPublic(t *testing.T) {
	for addr, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1111": true, "::ffff:8.8.8.8": true,
		"127.0.0.1": false, "127.9.9.9": false, "::1": false, "0.0.0.0": false, "::": false, "10.1.2.3": false, "172.16.0.1": false,
		"172.32.0.1": true, "192.168.0.1": false, "169.254.169.254": false, "fe80::1%eth0": false, "fd00::1": false, "100.64.0.1": false,
		"224.0.0.1": false, "255.255.255.255": false, "240.0.0.1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false,
		"64:ff9b::7f00:1": false, "2002:7f00:1::": false, "::127.0.0.1": false, "198.18.0.1": false, "192.0.2.1": false,
	} {
		if got := Public(netip.MustParseAddr(addr)); got != want {
			t.Errorf("Public(%s) = %v", addr, got)
		}
	}
}

// A name is judged by what it resolves to, by the dialer as by Resolve.
func TestNamesArePrivateToo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, host := range []string{"127.0.0.1", "localhost"} {
		if _, err := Dialer(false).DialContext(t.Context(), "tcp", net.JoinHostPort(host, port)); !errors.Is(err, ErrPrivate) {
			t.Errorf("dial %s: %v", host, err)
		}
		if _, err := Resolve(t.Context(), host, false); !errors.Is(err, ErrPrivate) {
			t.Errorf("resolve %s: %v", host, err)
		}
		conn, err := Dialer(true).DialContext(t.Context(), "tcp", net.JoinHostPort(host, port))
		if err != nil {
			t.Errorf("dial %s when it is allowed: %v", host, err)
			continue
		}
		conn.Close()
		if at, err := Resolve(t.Context(), host, true); err != nil || !at.IsLoopback() {
			t.Errorf("resolve %s when it is allowed: %v, %v", host, at, err)
		}
	}
}
