package webrtc

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/pion/rtcp"
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

func TestParseFeedback(t *testing.T) {
	marshal := func(p ...rtcp.Packet) []byte {
		b, err := rtcp.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	nack := func(ssrc uint32, seqs ...uint16) rtcp.Packet {
		return &rtcp.TransportLayerNack{MediaSSRC: ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(seqs)}
	}
	many := make([]uint16, hugeNack+1)
	for i := range many {
		many[i] = uint16(i)
	}
	for _, test := range []struct {
		name    string
		bytes   []byte
		missing int
		huge    bool
		key     bool
		err     bool
	}{
		{"receiver report", marshal(&rtcp.ReceiverReport{}), 0, false, false, false},
		{"nack", marshal(&rtcp.ReceiverReport{}, nack(5, 1, 2, 30)), 3, false, false, false},
		{"nack for sound", marshal(nack(6, 1, 2)), 0, false, false, false},
		{"as many as we answer", marshal(nack(5, many[1:]...)), hugeNack, false, false, false},
		{"one more", marshal(nack(5, many...)), hugeNack, true, false, false},
		{"pli", marshal(&rtcp.PictureLossIndication{MediaSSRC: 5}), 0, false, true, false},
		{"pli for another", marshal(&rtcp.PictureLossIndication{MediaSSRC: 6}), 0, false, false, false},
		{"fir", marshal(&rtcp.FullIntraRequest{FIR: []rtcp.FIREntry{{SSRC: 5}}}), 0, false, true, false},
		{"remb", marshal(&rtcp.ReceiverEstimatedMaximumBitrate{Bitrate: 1e6, SSRCs: []uint32{5}}), 0, false, false, false},
		{"cut short", marshal(nack(5, 1))[:10], 0, false, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := parseFeedback(test.bytes, 5)
			if (err != nil) != test.err || len(f.missing) != test.missing || f.huge != test.huge || f.key != test.key {
				t.Errorf("%d missing, huge %v, key %v, error %v", len(f.missing), f.huge, f.key, err)
			}
		})
	}
}

// FuzzFeedback: no RTCP panics or asks for more than the bound.
func FuzzFeedback(f *testing.F) {
	for _, p := range []rtcp.Packet{
		&rtcp.ReceiverReport{}, &rtcp.TransportLayerNack{MediaSSRC: 5, Nacks: []rtcp.NackPair{{PacketID: 9, LostPackets: 0xffff}}},
		&rtcp.PictureLossIndication{MediaSSRC: 5}, &rtcp.ReceiverEstimatedMaximumBitrate{Bitrate: 1e6},
	} {
		b, err := p.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, _ := parseFeedback(b, 5)
		if len(got.missing) > hugeNack {
			t.Fatalf("%d sequence numbers", len(got.missing))
		}
	})
}
