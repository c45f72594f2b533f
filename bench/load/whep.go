package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
	"github.com/pion/transport/v4/deadline"
)

// WHEP is a Reader by WebRTC of the pictures, without a PeerConnection: the checks
// and the handshake that a server insists on, and then it opens no packet but the
// last of each picture.
func WHEP(ctx context.Context, at string, seen func(Stamp)) error {
	v := &whepViewer{seen: seen, in: make(chan []byte, 32), heard: make(chan struct{}), closed: make(chan struct{})}
	err := v.play(ctx, at)
	v.wg.Wait()
	return ended(ctx, err)
}

// whepViewer is one viewer. Its reading goroutine owns the media.
type whepViewer struct {
	seen    func(Stamp)
	conn    *net.UDPConn
	ice     ice
	in      chan []byte   // of the handshake
	heard   chan struct{} // closed when the server has answered a check
	closed  chan struct{}
	ready   sync.Mutex // guards context
	context *srtp.Context
	before  []byte // the packet before the last
	now     []byte
	tail    []byte
	wg      sync.WaitGroup
}

// offerTime is how long a server may take to answer and to shake hands.
const offerTime = 10 * time.Second

func (v *whepViewer) play(ctx context.Context, at string) error {
	local, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	v.conn = local
	defer func() { _ = local.Close() }()
	certificate, print, err := viewerIdentity()
	if err != nil {
		return err
	}
	answer, resource, err := v.offer(ctx, at, print)
	if err != nil {
		return err
	}
	defer leave(resource)
	if v.ice, err = parseAnswer(answer, netip.MustParseAddrPort(local.LocalAddr().String())); err != nil {
		return err
	}
	_ = local.SetReadBuffer(4 << 20)
	v.wg.Go(v.read)
	v.wg.Go(func() { v.check(ctx) })
	defer close(v.closed)
	defer func() { _ = local.Close() }()
	// As browsers do: what comes before a check is of nobody, and would be sent again after a second.
	select {
	case <-v.heard:
	case <-time.After(offerTime):
		return errors.New("whep: no answer to ICE's checks")
	case <-ctx.Done():
		return ctx.Err()
	}
	client, err := dtls.ClientWithOptions(&whepLink{viewer: v, readable: deadline.New()}, net.UDPAddrFromAddrPort(v.ice.to), dtls.WithCertificates(certificate),
		dtls.WithInsecureSkipVerify(true), dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret),
		dtls.WithSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80))
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	limit, cancel := context.WithTimeout(ctx, offerTime)
	defer cancel()
	if err := client.HandshakeContext(limit); err != nil {
		return fmt.Errorf("whep: %w", err)
	}
	if err := v.keys(client); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// keys takes those of the handshake.
func (v *whepViewer) keys(client *dtls.Conn) error {
	profile, ok := client.SelectedSRTPProtectionProfile()
	state, known := client.ConnectionState()
	if !ok || !known {
		return errors.New("whep: no srtp profile")
	}
	cfg := srtp.Config{Profile: srtp.ProtectionProfile(profile)}
	if err := cfg.ExtractSessionKeysFromDTLS(&state, true); err != nil {
		return err
	}
	c, err := srtp.CreateContext(cfg.Keys.RemoteMasterKey, cfg.Keys.RemoteMasterSalt, cfg.Profile)
	v.ready.Lock()
	defer v.ready.Unlock()
	v.context = c
	return err
}

// offer posts and returns the answer, and where the session is.
func (v *whepViewer) offer(ctx context.Context, at, print string) (answer, resource string, err error) {
	offer := strings.ReplaceAll("v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\na=group:BUNDLE 0\n"+
		"m=video 9 UDP/TLS/RTP/SAVPF 96\nc=IN IP4 0.0.0.0\na=mid:0\na=recvonly\na=rtcp-mux\na=setup:active\n"+
		"a=ice-ufrag:"+iceName+"\na=ice-pwd:"+icePassword+"\na=fingerprint:sha-256 "+print+"\n"+
		"a=rtpmap:96 H264/90000\na=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\n"+
		"a=rtcp-fb:96 nack\na=rtcp-fb:96 nack pli\n"+
		"a=candidate:1 1 udp 2130706431 127.0.0.1 "+fmt.Sprint(v.conn.LocalAddr().(*net.UDPAddr).Port)+" typ host\na=end-of-candidates\n", "\n", "\r\n")
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, strings.NewReader(offer))
		if err != nil {
			return "", "", err
		}
		req.Header.Set("Content-Type", "application/sdp")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return "", "", err
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		switch {
		case err != nil:
			return "", "", err
		case res.StatusCode == http.StatusCreated:
			return string(body), resolve(at, res.Header.Get("Location")), nil
		case res.StatusCode != http.StatusNotFound && res.Header.Get("Retry-After") == "":
			return "", "", fmt.Errorf("POST %s: %s: %s", at, res.Status, body)
		}
		time.Sleep(retry)
	}
}

// leave ends a session at the server.
func leave(resource string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, resource, nil)
	if err != nil {
		return
	}
	if res, err := http.DefaultClient.Do(req); err == nil {
		_ = res.Body.Close()
	}
}

// read takes packets off the socket until it is closed.
func (v *whepViewer) read() {
	buf := make([]byte, 2048)
	answered := sync.OnceFunc(func() { close(v.heard) })
	for {
		n, _, err := v.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		switch b := buf[:n]; {
		case n < 12:
		case b[0] == 1 && b[1] == 1: // a binding success response (RFC 8489, 5)
			answered()
		case b[0] < 4:
			if reply := v.ice.answer(b); reply != nil {
				_, _ = v.conn.WriteToUDPAddrPort(reply, v.ice.to)
			}
		case b[0] >= 20 && b[0] < 64:
			select {
			case v.in <- append([]byte(nil), b...):
			default:
			}
		case b[0] >= 128 && (b[1] < 192 || b[1] > 223):
			v.media(b)
		}
	}
}

// media keeps a packet until the next, and opens the last of a picture.
func (v *whepViewer) media(b []byte) {
	v.before, v.now = v.now, append(v.before[:0], b...)
	if b[1]&0x80 == 0 {
		return
	}
	v.ready.Lock()
	defer v.ready.Unlock()
	if v.context == nil {
		return
	}
	tail := v.tail[:0]
	if payload := v.open(v.now); len(payload) >= stampSize {
		tail = append(tail, payload...)
	} else { // cut in two
		tail = append(append(tail, v.open(v.before)...), payload...)
	}
	v.tail = tail
	stamps(tail, v.seen)
}

// open returns what a packet carries of a slice.
func (v *whepViewer) open(sealed []byte) []byte {
	if len(sealed) < 12 {
		return nil
	}
	var h rtp.Header
	plain, err := v.context.DecryptRTP(nil, sealed, &h)
	if err != nil {
		return nil
	}
	payload := plain[h.MarshalSize():]
	if len(payload) > 2 && payload[0]&0x1f == 28 { // FU-A (RFC 6184 §5.8)
		payload = payload[2:]
	}
	return payload
}

// check asks the server again and again whether it hears us.
func (v *whepViewer) check(ctx context.Context) {
	wait := 20 * time.Millisecond
	for {
		if b := v.ice.check(); b != nil {
			_, _ = v.conn.WriteToUDPAddrPort(b, v.ice.to)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		case <-v.closed:
			return
		}
		wait = min(wait*2, 2*time.Second)
	}
}
