package transport

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/pion/stun/v3"
)

var (
	testCred = credentials{ufrag: "OURS", password: "0123456789abcdefghijkl", remoteUfrag: "theirs"}
	testFrom = netip.MustParseAddrPort("192.0.2.7:4321")
)

func checkBytes(t testing.TB, user, password string, setters ...stun.Setter) []byte {
	t.Helper()
	all := append([]stun.Setter{stun.TransactionID, stun.BindingRequest, stun.NewUsername(user)}, setters...)
	m, err := stun.Build(append(all, stun.NewShortTermIntegrity(password), stun.Fingerprint)...)
	if err != nil {
		t.Fatal(err)
	}
	return m.Raw
}

func TestCheck(t *testing.T) {
	controlled := stun.RawAttribute{Type: stun.AttrICEControlled, Value: make([]byte, 8)}
	nominate := stun.RawAttribute{Type: stun.AttrUseCandidate}
	good := checkBytes(t, "OURS:theirs", testCred.password)
	broken := append([]byte(nil), good...)
	broken[len(broken)-1] ^= 1 // the fingerprint
	for _, test := range []struct {
		name      string
		bytes     []byte
		accepted  bool
		nominated bool
		reply     stun.MessageType
		silent    bool
	}{
		{"good", good, true, false, stun.BindingSuccess, false},
		{"nominated", checkBytes(t, "OURS:theirs", testCred.password, nominate), true, true, stun.BindingSuccess, false},
		{"controlled like us", checkBytes(t, "OURS:theirs", testCred.password, controlled), false, false, stun.BindingError, false},
		{"wrong password", checkBytes(t, "OURS:theirs", "wrong"), false, false, stun.MessageType{}, true},
		{"wrong peer", checkBytes(t, "OURS:others", testCred.password), false, false, stun.MessageType{}, true},
		{"no colon", checkBytes(t, "OURS", testCred.password), false, false, stun.MessageType{}, true},
		{"broken fingerprint", broken, false, false, stun.MessageType{}, true},
		{"cut short", good[:30], false, false, stun.MessageType{}, true},
		{"not STUN", []byte{0, 1, 2, 3}, false, false, stun.MessageType{}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := parseCheck(test.bytes)
			var reply []byte
			accepted := false
			if err == nil {
				reply, accepted, err = c.answer(testCred, testFrom)
			}
			if (err != nil) != test.silent || err != nil && !errors.Is(err, errNotForUs) {
				t.Fatalf("error %v", err)
			}
			if accepted != test.accepted || accepted && c.nominated != test.nominated {
				t.Errorf("accepted %v, nominated %v", accepted, c.nominated)
			}
			if test.silent {
				return
			}
			m := stun.Message{Raw: reply}
			if err := m.Decode(); err != nil || m.Type != test.reply {
				t.Fatalf("reply %v, %v", m.Type, err)
			}
			if err := stun.NewShortTermIntegrity(testCred.password).Check(&m); err != nil {
				t.Error(err)
			}
			var mapped stun.XORMappedAddress
			if accepted && (mapped.GetFrom(&m) != nil || mapped.Port != 4321 || mapped.IP.String() != "192.0.2.7") {
				t.Errorf("mapped address %v", mapped)
			}
		})
	}
}

// FuzzCheck: no datagram panics, and none passes without the password.
func FuzzCheck(f *testing.F) {
	f.Add(checkBytes(f, "OURS:theirs", "wrong"))
	f.Add(checkBytes(f, "OURS:theirs", "", stun.RawAttribute{Type: stun.AttrUseCandidate}))
	f.Add([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseCheck(b)
		if err != nil {
			return
		}
		if _, accepted, err := c.answer(testCred, testFrom); accepted || err == nil {
			t.Fatalf("%x was answered", b)
		}
	})
}
