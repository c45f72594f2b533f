package transport

import (
	"crypto/rand"
	"errors"
	"net/netip"
	"strings"

	"github.com/pion/stun/v3"
)

// credentials of one ICE session (RFC 8445 §5.3): ours, and the name of theirs.
type credentials struct {
	ufrag, password string
	remoteUfrag     string
}

// newCredentials makes random ones: 130 bits of password.
func newCredentials(remoteUfrag string) credentials {
	return credentials{ufrag: rand.Text()[:12], password: rand.Text(), remoteUfrag: remoteUfrag}
}

// errNotForUs is for every check that is not answered: no word to strangers.
var errNotForUs = errors.New("not an authenticated binding request")

// check is an ICE connectivity check.
type check struct {
	message   stun.Message
	ufrag     string // ours
	theirs    string
	nominated bool
}

// parseCheck reads a binding request; the password is not checked yet.
func parseCheck(b []byte) (check, error) {
	var c check
	c.message.Raw = b
	if err := c.message.Decode(); err != nil || c.message.Type != stun.BindingRequest {
		return check{}, errNotForUs
	}
	var name stun.Username
	if err := name.GetFrom(&c.message); err != nil {
		return check{}, errNotForUs
	}
	var ok bool
	if c.ufrag, c.theirs, ok = strings.Cut(name.String(), ":"); !ok {
		return check{}, errNotForUs
	}
	c.nominated = c.message.Contains(stun.AttrUseCandidate)
	return c, nil
}

// answer verifies a check against the session's credentials and makes the
// response. ICE-lite is always controlled: a peer that claims to be, too, is
// told to switch (RFC 8445 §7.3.1.1).
func (c *check) answer(cred credentials, from netip.AddrPort) (reply []byte, accepted bool, err error) {
	integrity := stun.NewShortTermIntegrity(cred.password)
	if c.ufrag != cred.ufrag || c.theirs != cred.remoteUfrag || integrity.Check(&c.message) != nil {
		return nil, false, errNotForUs
	}
	if c.message.Contains(stun.AttrFingerprint) && stun.Fingerprint.Check(&c.message) != nil {
		return nil, false, errNotForUs
	}
	id := stun.NewTransactionIDSetter(c.message.TransactionID)
	if c.message.Contains(stun.AttrICEControlled) {
		m, err := stun.Build(id, stun.BindingError, stun.CodeRoleConflict, integrity, stun.Fingerprint)
		if err != nil {
			return nil, false, err
		}
		return m.Raw, false, nil
	}
	m, err := stun.Build(id, stun.BindingSuccess,
		&stun.XORMappedAddress{IP: from.Addr().AsSlice(), Port: int(from.Port())}, integrity, stun.Fingerprint)
	if err != nil {
		return nil, false, err
	}
	return m.Raw, true, nil
}
