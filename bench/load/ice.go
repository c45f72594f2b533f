package load

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/pion/dtls/v3/pkg/crypto/fingerprint"
	"github.com/pion/dtls/v3/pkg/crypto/selfsign"
	"github.com/pion/stun/v3"
	"github.com/pion/transport/v4/deadline"
)

// What all viewers call themselves: they differ by address.
const (
	iceName     = "benchview"
	icePassword = "0123456789abcdefghijklmnop"
)

// ice is what a viewer knows of the server (RFC 8445).
type ice struct {
	name, password string // the server's
	to, from       netip.AddrPort
}

// parseAnswer finds the server's name, password and address.
func parseAnswer(sdp string, from netip.AddrPort) (ice, error) {
	i := ice{from: from}
	for line := range strings.Lines(sdp) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "a=ice-ufrag:"):
			i.name = line[len("a=ice-ufrag:"):]
		case strings.HasPrefix(line, "a=ice-pwd:"):
			i.password = line[len("a=ice-pwd:"):]
		case strings.HasPrefix(line, "a=candidate:"):
			f := strings.Fields(line)
			if len(f) < 6 || !strings.EqualFold(f[2], "udp") {
				continue
			}
			at, err := netip.ParseAddrPort(net.JoinHostPort(f[4], f[5]))
			if err == nil && at.Addr().Is4() && (!i.to.IsValid() || at.Addr().IsLoopback()) {
				i.to = at
			}
		}
	}
	if i.name == "" || i.password == "" || !i.to.IsValid() {
		return i, errors.New("whep: no ice credentials or candidate in the answer")
	}
	return i, nil
}

// check is a request that nominates this pair.
func (i *ice) check() []byte {
	m, err := stun.Build(stun.TransactionID, stun.BindingRequest, stun.NewUsername(i.name+":"+iceName),
		stun.RawAttribute{Type: stun.AttrUseCandidate},
		stun.RawAttribute{Type: stun.AttrICEControlling, Value: []byte("12345678")},
		stun.RawAttribute{Type: stun.AttrPriority, Value: []byte{126, 0, 30, 255}},
		stun.NewShortTermIntegrity(i.password), stun.Fingerprint)
	if err != nil {
		return nil
	}
	return m.Raw
}

// answer is what a server's own check is answered with.
func (i *ice) answer(b []byte) []byte {
	m := stun.Message{Raw: b}
	if m.Decode() != nil || m.Type != stun.BindingRequest {
		return nil
	}
	reply, err := stun.Build(stun.NewTransactionIDSetter(m.TransactionID), stun.BindingSuccess,
		&stun.XORMappedAddress{IP: i.to.Addr().AsSlice(), Port: int(i.to.Port())},
		stun.NewShortTermIntegrity(icePassword), stun.Fingerprint)
	if err != nil {
		return nil
	}
	return reply.Raw
}

// viewerIdentity makes a viewer's certificate and its fingerprint.
func viewerIdentity() (tls.Certificate, string, error) {
	cert, err := selfsign.GenerateSelfSigned()
	if err != nil {
		return cert, "", err
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return cert, "", err
	}
	hash, err := fingerprint.HashFromString("sha-256")
	if err != nil {
		return cert, "", err
	}
	print, err := fingerprint.Fingerprint(leaf, hash)
	return cert, print, err
}

// whepLink is the net.PacketConn of a handshake: fed by the viewer's reader.
type whepLink struct {
	viewer   *whepViewer
	readable *deadline.Deadline
}

// ReadFrom implements net.PacketConn.
func (l *whepLink) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case d := <-l.viewer.in:
		return copy(b, d), net.UDPAddrFromAddrPort(l.viewer.ice.to), nil
	case <-l.readable.Done():
		return 0, nil, os.ErrDeadlineExceeded
	case <-l.viewer.closed:
		return 0, nil, net.ErrClosed
	}
}

// WriteTo implements net.PacketConn.
func (l *whepLink) WriteTo(b []byte, _ net.Addr) (int, error) {
	return l.viewer.conn.WriteToUDPAddrPort(b, l.viewer.ice.to)
}

// Close implements net.PacketConn: the socket is the viewer's.
func (l *whepLink) Close() error { return nil }

// LocalAddr implements net.PacketConn.
func (l *whepLink) LocalAddr() net.Addr { return l.viewer.conn.LocalAddr() }

// SetDeadline implements net.PacketConn.
func (l *whepLink) SetDeadline(t time.Time) error { return l.SetReadDeadline(t) }

// SetReadDeadline implements net.PacketConn.
func (l *whepLink) SetReadDeadline(t time.Time) error {
	l.readable.Set(t)
	return nil
}

// SetWriteDeadline implements net.PacketConn.
func (l *whepLink) SetWriteDeadline(time.Time) error { return nil }
