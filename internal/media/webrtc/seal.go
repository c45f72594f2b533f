package webrtc

import (
	"fmt"

	"github.com/pion/dtls/v3"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

// keys are what a handshake yields: a context per direction.
type keys struct {
	seal, open *srtp.Context
	tag        int // bytes that sealing adds to a packet
}

// profiles in our order of preference: the server's first that the client has
// is taken. GCM costs a third of what HMAC-SHA1 does.
func profiles() []dtls.SRTPProtectionProfile {
	return []dtls.SRTPProtectionProfile{
		dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AEAD_AES_256_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80,
	}
}

// deriveKeys takes the SRTP keys from a finished handshake (RFC 5764 §4.2).
func deriveKeys(conn *dtls.Conn) (*keys, error) {
	chosen, ok := conn.SelectedSRTPProtectionProfile()
	if !ok {
		return nil, fmt.Errorf("the client offered no srtp profile that we know")
	}
	state, ok := conn.ConnectionState()
	if !ok {
		return nil, fmt.Errorf("dtls state is gone")
	}
	cfg := srtp.Config{Profile: srtp.ProtectionProfile(chosen)}
	if err := cfg.ExtractSessionKeysFromDTLS(&state, false); err != nil {
		return nil, fmt.Errorf("extract srtp keys: %w", err)
	}
	return newKeys(cfg)
}

// newKeys makes the contexts.
func newKeys(cfg srtp.Config) (*keys, error) {
	var k keys
	var err error
	if k.seal, err = srtp.CreateContext(cfg.Keys.LocalMasterKey, cfg.Keys.LocalMasterSalt, cfg.Profile); err != nil {
		return nil, fmt.Errorf("make srtp context: %w", err)
	}
	if k.open, err = srtp.CreateContext(cfg.Keys.RemoteMasterKey, cfg.Keys.RemoteMasterSalt, cfg.Profile,
		srtp.SRTCPReplayProtection(64)); err != nil {
		return nil, fmt.Errorf("make srtp context: %w", err)
	}
	aead, err := cfg.Profile.AEADAuthTagLen()
	if err != nil {
		return nil, fmt.Errorf("srtp profile: %w", err)
	}
	auth, err := cfg.Profile.AuthTagRTPLen()
	if err != nil {
		return nil, fmt.Errorf("srtp profile: %w", err)
	}
	k.tag = aead + auth
	return &k, nil
}

// batch is a sender's scratch: packets fetched, sealed and sent in one go.
type batch struct {
	packets [maxTurn]packet
	sizes   [maxTurn]int
	trains  [maxTurn]train
	used    int // datagrams
	length  int // bytes in buf
	header  rtp.Header
	buf     [maxTurn * maxDatagram]byte
}

func (b *batch) reset() { b.used, b.length = 0, 0 }

// next copies a packet behind the last one and returns it for patching.
func (b *batch) next(data []byte) []byte {
	return b.buf[b.length : b.length+copy(b.buf[b.length:], data)]
}

// seal encrypts the packet that next returned, in place.
func (b *batch) seal(k *keys, plain []byte) error {
	size := len(plain) + k.tag
	dst := b.buf[b.length : b.length+len(plain) : b.length+size]
	if _, err := k.seal.EncryptRTP(dst, plain, &b.header); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	b.sizes[b.used] = size
	b.used++
	b.length += size
	return nil
}

// flush sends what was sealed and says how many datagrams were lost to a full
// socket or an unreachable path.
func (b *batch) flush(s *socket, d *destination) (lost int, err error) {
	at := 0
	for _, t := range trains(b.trains[:0], b.sizes[:b.used]) {
		if e := s.send(d, b.buf[at:at+t.bytes], t); e != nil {
			lost += t.count
			err = e
		}
		at += t.bytes
	}
	b.reset()
	return lost, err
}
