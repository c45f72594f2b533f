package webrtc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/fingerprint"
	"github.com/pion/dtls/v3/pkg/crypto/selfsign"
	"github.com/pion/stun/v3"
)

// visitor joins and leaves as a browser does, with as little as that needs.
type visitor struct {
	r           *rig
	certificate tls.Certificate
	fingerprint string
}

func newVisitor(r *rig) *visitor {
	r.t.Helper()
	certificate, err := selfsign.GenerateSelfSigned()
	if err != nil {
		r.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	if err != nil {
		r.t.Fatal(err)
	}
	hash, err := fingerprint.HashFromString("sha-256")
	if err != nil {
		r.t.Fatal(err)
	}
	v := &visitor{r: r, certificate: certificate}
	if v.fingerprint, err = fingerprint.Fingerprint(leaf, hash); err != nil {
		r.t.Fatal(err)
	}
	return v
}

// heard is a connection that tells of the first media and keeps them from DTLS.
type heard struct {
	net.PacketConn
	media chan struct{}
	once  sync.Once
	shook time.Time     // when the newest word of the handshake was there
	rest  time.Duration // from the last one to the first media; read it once media is closed
}

func (h *heard) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := h.PacketConn.ReadFrom(b)
		if err != nil || n == 0 || b[0] < 128 {
			h.shook = time.Now()
			return n, from, err
		}
		if b[1] < 192 || b[1] > 223 {
			h.once.Do(func() { h.rest = time.Since(h.shook); close(h.media) })
		}
	}
}

// framed is a TCP connection with packets, each behind its length (RFC 4571 §2).
type framed struct {
	net.Conn
	peer net.Addr
}

func (f framed) ReadFrom(b []byte) (int, net.Addr, error) {
	var head [2]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return 0, nil, err
	}
	n := int(binary.BigEndian.Uint16(head[:]))
	if n > len(b) {
		return 0, nil, io.ErrShortBuffer
	}
	_, err := io.ReadFull(f, b[:n])
	return n, f.peer, err
}

func (f framed) WriteTo(b []byte, _ net.Addr) (int, error) {
	_, err := f.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
	return len(b), err
}

// visit is a viewer that has joined.
type visit struct {
	location string
	conn     net.PacketConn
	sips     *sips         // by TCP
	media    chan struct{} // closed with the first
	heard    *heard
	client   *dtls.Conn
	check    []byte // says that it is there
	to       net.Addr
}

// join joins, by UDP or TCP. Close what it returns, which is nil with an error.
func (v *visitor) join(ctx context.Context, byTCP bool) (_ *visit, err error) {
	res, answer := v.r.do("POST", "/live/play/whep", strings.ReplaceAll("v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\na=group:BUNDLE 0\n"+
		"m=video 9 UDP/TLS/RTP/SAVPF 96\nc=IN IP4 0.0.0.0\na=mid:0\na=recvonly\na=rtcp-mux\na=setup:active\n"+
		"a=ice-ufrag:visitor\na=ice-pwd:0123456789abcdefghijklmnop\na=fingerprint:sha-256 "+v.fingerprint+"\n"+
		"a=rtpmap:96 H264/90000\na=fmtp:96 packetization-mode=1;profile-level-id=42e01f\n", "\n", "\r\n"))
	if res.StatusCode != 201 {
		return nil, fmt.Errorf("%d %s", res.StatusCode, answer)
	}
	ufrag, password := fragment(answer)
	to := net.UDPAddrFromAddrPort(v.r.server.Addr())
	j := &visit{location: res.Header.Get("Location"), to: to}
	if byTCP {
		tcp, err := net.Dial("tcp", to.String())
		if err != nil {
			return nil, err
		}
		j.sips = &sips{Conn: tcp, over: make(chan struct{})}
		j.conn = framed{j.sips, to}
	} else if j.conn, err = net.ListenPacket("udp4", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = j.conn.Close()
		}
	}()
	check, err := stun.Build(stun.TransactionID, stun.BindingRequest, stun.NewUsername(ufrag+":visitor"),
		stun.RawAttribute{Type: stun.AttrUseCandidate}, stun.NewShortTermIntegrity(password), stun.Fingerprint)
	if err != nil {
		return nil, err
	}
	j.check = check.Raw
	if _, err := j.conn.WriteTo(j.check, to); err != nil {
		return nil, err
	}
	_ = j.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, _, err := j.conn.ReadFrom(make([]byte, 1500)); err != nil {
		return nil, fmt.Errorf("the check: %w", err)
	}
	_ = j.conn.SetReadDeadline(time.Time{})
	media := &heard{PacketConn: j.conn, media: make(chan struct{})}
	j.media, j.heard = media.media, media
	if j.client, err = dtls.ClientWithOptions(media, to, dtls.WithCertificates(v.certificate), dtls.WithInsecureSkipVerify(true),
		dtls.WithSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM), dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret)); err != nil {
		return nil, err
	}
	if err := j.client.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("the handshake: %w", err)
	}
	return j, nil
}

// visit joins and leaves, by UDP or TCP, by DELETE or by the connection's own goodbye;
// with the first picture, or in haste.
func (v *visitor) visit(byTCP, byDelete, haste bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	j, err := v.join(ctx, byTCP)
	if err != nil {
		return err
	}
	defer j.conn.Close()
	if !haste {
		select {
		case <-j.media:
		case <-ctx.Done():
			return errors.New("no media came")
		}
	}
	if byDelete {
		if res, _ := v.r.do("DELETE", j.location, ""); res.StatusCode != 200 {
			return fmt.Errorf("DELETE: %d", res.StatusCode)
		}
	}
	return j.client.Close()
}

// MEDIA W1: between the end of the handshake and the first packet the server waits 2 to
// 10 ms: a client that hands DTLS to another thread throws away what comes at once.
func TestMediaWaitForTheHandshake(t *testing.T) {
	r := newRig(t, nil)
	r.publish()
	v := newVisitor(r)
	var rests []time.Duration
	for range 9 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		j, err := v.join(ctx, false)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-j.media:
			rests = append(rests, j.heard.rest)
		case <-ctx.Done():
			t.Error("no media came")
		}
		cancel()
		_ = j.client.Close()
		_ = j.conn.Close()
	}
	// Who has no processor sees both at once, or the media late: not most of the time.
	slices.Sort(rests)
	if len(rests) != 9 || rests[4] < 2*time.Millisecond || rests[0] > 10*time.Millisecond {
		t.Errorf("media came %v after the handshake", rests)
	}
}

// descriptors counts this process's open files, where the system tells.
func descriptors() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list)
}

// A thousand viewers that come and go, a third by TCP, leave nothing behind: no goroutine, no
// descriptor, no entry in a table.
func TestThousandJoinsAndLeaves(t *testing.T) {
	r := newRig(t, nil)
	r.publish()
	v := newVisitor(r)
	if err := v.visit(false, true, false); err != nil { // warm: the feed and connections are there
		t.Fatal(err)
	}
	goroutines, files := runtime.NumGoroutine(), descriptors()
	const visits, together = 1000, 8
	var next atomic.Int64
	var tasks sync.WaitGroup
	for range together {
		tasks.Go(func() {
			for n := next.Add(1); n <= visits; n = next.Add(1) {
				// By TCP all leave by DELETE: a goodbye is lost when a connection is closed
				// before all that came was read, and then a viewer is missed 30 s later.
				byTCP := n%3 == 0
				if err := v.visit(byTCP, byTCP || n%2 == 0, n%4 == 1); err != nil {
					t.Errorf("visit %d: %v", n, err)
					return
				}
			}
		})
	}
	tasks.Wait()
	eventually(t, "all viewers to be gone", func() bool { s := r.server.Stats(); return s.Viewers == 0 && s.Pending == 0 })
	if s := r.server.Stats(); s.Sessions != visits+1 || s.Failed > visits/4 {
		t.Errorf("%+v", s)
	}
	// Each worker keeps an HTTP connection: two goroutines and descriptors at each end.
	eventually(t, "as many goroutines as before", func() bool { return runtime.NumGoroutine() <= goroutines+4*together })
	if got := descriptors(); got > files+2*together {
		t.Errorf("%d descriptors, %d before", got, files)
	}
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	if n := len(r.server.sessions); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}
