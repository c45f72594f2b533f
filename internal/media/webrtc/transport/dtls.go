package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/fingerprint"
	"github.com/pion/dtls/v3/pkg/crypto/selfsign"
	"github.com/pion/transport/v4/deadline"
)

// The DTLS content types that matter after the handshake (RFC 5246 §6.2.1).
const (
	dtlsChangeCipherSpec = 20
	dtlsAlert            = 21
	dtlsHandshake        = 22
)

// identity is the server's certificate, one per process.
type identity struct {
	certificate tls.Certificate
	fingerprint string // SHA-256, as in SDP
}

func newIdentity() (identity, error) {
	cert, err := selfsign.GenerateSelfSigned()
	if err != nil {
		return identity{}, fmt.Errorf("make dtls certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return identity{}, fmt.Errorf("parse dtls certificate: %w", err)
	}
	hash, err := fingerprint.HashFromString("sha-256")
	if err != nil {
		return identity{}, err
	}
	digest, err := fingerprint.Fingerprint(leaf, hash)
	if err != nil {
		return identity{}, err
	}
	return identity{certificate: cert, fingerprint: strings.ToUpper(digest)}, nil
}

// handshake runs the server's side of a handshake on link until ctx ends, and
// then parks it: keys stay, the connection goes. want is the fingerprint of the
// offer, "sha-256 AB:CD…".
func handshake(ctx context.Context, link *link, id identity, want string) (*Keys, error) {
	conn, err := dtls.ServerWithOptions(link, link.RemoteAddr(),
		dtls.WithCertificates(id.certificate),
		dtls.WithSRTPProtectionProfiles(profiles()...),
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret),
		dtls.WithClientAuth(dtls.RequireAnyClientCert),
		dtls.WithInsecureSkipVerify(true), // the fingerprint is verified instead
		dtls.WithVerifyPeerCertificate(func(certs [][]byte, _ [][]*x509.Certificate) error {
			return verifyFingerprint(certs, want)
		}),
		dtls.WithInsecureSkipVerifyHello(true), // ICE has proven the address
		dtls.WithFlightInterval(150*time.Millisecond),
		dtls.WithMTU(1200),
	)
	if err != nil {
		return nil, fmt.Errorf("dtls: %w", errors.Join(err, link.Close()))
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("dtls handshake: %w", err)
	}
	k, err := deriveKeys(conn)
	link.park()
	if e := conn.Close(); err == nil && e != nil {
		err = fmt.Errorf("park dtls: %w", e)
	}
	return k, err
}

// verifyFingerprint compares the peer's certificate with the offer's fingerprint
// (RFC 8122 §5): without that anybody on the way could be the peer.
func verifyFingerprint(certs [][]byte, want string) error {
	name, value, _ := strings.Cut(want, " ")
	hash, err := fingerprint.HashFromString(name)
	if err != nil || len(certs) == 0 {
		return errors.New("no certificate or unknown hash")
	}
	leaf, err := x509.ParseCertificate(certs[0])
	if err != nil {
		return fmt.Errorf("parse certificate: %w", err)
	}
	got, err := fingerprint.Fingerprint(leaf, hash)
	if err != nil {
		return err
	}
	if !strings.EqualFold(got, value) {
		return errors.New("the certificate is not the offer's")
	}
	return nil
}

// link is the net.PacketConn of one handshake: fed by the socket's reader,
// never blocking it. After park it only remembers: the last flight, which the
// client may have missed, and the close_notify alert, which is sealed with keys
// that are gone then.
type link struct {
	socket   socket
	in       chan []byte
	closed   chan struct{}
	readable *deadline.Deadline

	mu       sync.Mutex
	to       path
	once     sync.Once
	parked   bool
	answered bool     // the peer spoke since the flight began
	flight   [][]byte // datagrams of the last flight
	farewell [][]byte // close_notify
}

func newLink(s socket, to path) *link {
	return &link{socket: s, to: to, in: make(chan []byte, 32), closed: make(chan struct{}), readable: deadline.New()}
}

// feed hands a datagram over (copied); one too many is lost, as on any network.
func (l *link) feed(b []byte) {
	select {
	case l.in <- slices.Clone(b):
	default:
	}
}

// move follows the peer to another address.
func (l *link) move(to path) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.to = to
}

// park ends sending. Call it after the handshake, before closing its Conn.
func (l *link) park() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.parked = true
}

// done reports whether the handshake is over.
func (l *link) done() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.parked
}

// again sends the last flight once more; bye sends the close_notify alert.
func (l *link) again() { l.resend(func() [][]byte { return l.flight }) }
func (l *link) bye()   { l.resend(func() [][]byte { return l.farewell }) }

func (l *link) resend(which func() [][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range which() {
		_ = l.socket.write(b, l.to)
	}
}

// ReadFrom implements net.PacketConn.
func (l *link) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case <-l.readable.Done():
		return 0, nil, os.ErrDeadlineExceeded
	default:
	}
	select {
	case d := <-l.in:
		l.mu.Lock()
		defer l.mu.Unlock()
		l.answered = true
		return copy(b, d), net.UDPAddrFromAddrPort(l.to.remote), nil
	case <-l.readable.Done():
		return 0, nil, os.ErrDeadlineExceeded
	case <-l.closed:
		return 0, nil, net.ErrClosed
	}
}

// WriteTo implements net.PacketConn: to wherever the peer is now.
func (l *link) WriteTo(b []byte, _ net.Addr) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.parked {
		l.farewell = append(l.farewell, slices.Clone(b))
		return len(b), nil
	}
	if l.answered {
		l.flight, l.answered = nil, false
	}
	if len(l.flight) < 8 {
		l.flight = append(l.flight, slices.Clone(b))
	}
	return len(b), l.socket.write(b, l.to)
}

// Close implements net.PacketConn.
func (l *link) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// LocalAddr implements net.PacketConn.
func (l *link) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(l.socket.Addr()) }

// RemoteAddr is where the peer is now.
func (l *link) RemoteAddr() net.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	return net.UDPAddrFromAddrPort(l.to.remote)
}

// SetDeadline implements net.PacketConn.
func (l *link) SetDeadline(t time.Time) error { return l.SetReadDeadline(t) }

// SetReadDeadline implements net.PacketConn; pion cancels reads with it.
func (l *link) SetReadDeadline(t time.Time) error {
	l.readable.Set(t)
	return nil
}

// SetWriteDeadline implements net.PacketConn: writes do not wait.
func (l *link) SetWriteDeadline(time.Time) error { return nil }
