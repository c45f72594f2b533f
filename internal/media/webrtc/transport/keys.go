package transport

import (
	"fmt"

	"github.com/pion/dtls/v3"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

// Keys are what a handshake yields: a context per direction. Each direction is
// for one goroutine at a time.
type Keys struct {
	seal, open *srtp.Context
	tag        int // bytes that sealing adds to a packet
}

// SealControl returns a compound RTCP packet sealed.
func (k *Keys) SealControl(raw []byte) ([]byte, error) { return k.seal.EncryptRTCP(nil, raw, nil) }

// OpenControl returns an SRTCP packet opened. An error says that it is forged,
// or came before.
func (k *Keys) OpenControl(sealed []byte) ([]byte, error) {
	return k.open.DecryptRTCP(nil, sealed, nil)
}

// OpenMedia opens an SRTP packet into dst, which it may grow, and parses its
// header. An error says that it is forged, or came before.
func (k *Keys) OpenMedia(dst, sealed []byte, h *rtp.Header) ([]byte, error) {
	return k.open.DecryptRTP(dst, sealed, h)
}

// replayWindow is in packets: more than a publisher sends while one that was lost
// is asked for again.
const replayWindow = 2048

// profiles in our order of preference: the server's first that the client has
// is taken. GCM costs a third of what HMAC-SHA1 does.
func profiles() []dtls.SRTPProtectionProfile {
	return []dtls.SRTPProtectionProfile{
		dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AEAD_AES_256_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80,
	}
}

// deriveKeys takes the SRTP keys from a finished handshake (RFC 5764 §4.2).
func deriveKeys(conn *dtls.Conn) (*Keys, error) {
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
	return NewKeys(cfg)
}

// NewKeys makes the contexts of a session.
func NewKeys(cfg srtp.Config) (*Keys, error) {
	var k Keys
	var err error
	if k.seal, err = srtp.CreateContext(cfg.Keys.LocalMasterKey, cfg.Keys.LocalMasterSalt, cfg.Profile); err != nil {
		return nil, fmt.Errorf("make srtp context: %w", err)
	}
	if k.open, err = srtp.CreateContext(cfg.Keys.RemoteMasterKey, cfg.Keys.RemoteMasterSalt, cfg.Profile,
		srtp.SRTPReplayProtection(replayWindow), srtp.SRTCPReplayProtection(64)); err != nil {
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
