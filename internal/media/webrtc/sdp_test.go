package webrtc

import (
	"bytes"
	"errors"
	"flag"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pion/sdp/v3"
)

var update = flag.Bool("update", false, "write the goldens anew")

func chromiumOffer(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("testdata/chromium.offer.sdp")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func testAnswerer() *answerer {
	return &answerer{
		session: 1, ufrag: "OURUFRAG", password: "ourpassword0123456789ab", fingerprint: "AA:BB",
		candidates: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:8189"), netip.MustParseAddrPort("[2001:db8::1]:8189")},
		video:      111, rtx: 222, audio: 333,
	}
}

func TestAnswer(t *testing.T) {
	o, err := parseOffer([]byte(chromiumOffer(t)), 66)
	if err != nil {
		t.Fatal(err)
	}
	got := testAnswerer().write(o)
	const golden = "testdata/chromium.answer.sdp"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error(diff)
	}
}

// The stream's profile decides the payload type: the same, the next higher, or
// else the highest there is.
func TestProfileChoice(t *testing.T) {
	const baseline, constrained, main, high = "42001f", "42e01f", "4d001f", "64001f"
	for _, test := range []struct {
		profile byte
		offered []string
		want    string
	}{
		{66, []string{baseline, constrained, main, high}, constrained},
		{66, []string{baseline, main}, baseline},
		{66, []string{high, main}, main},
		{77, []string{constrained, main, high}, main},
		{77, []string{constrained, high}, high},
		{77, []string{constrained}, constrained},
		{100, []string{constrained, main}, main},
		{100, []string{constrained, main, high}, high},
		{100, []string{"f4001f", constrained}, "f4001f"},
		{110, []string{constrained, main}, constrained},
	} {
		var formats []format
		for i, id := range test.offered {
			formats = append(formats,
				format{pt: uint8(96 + 3*i), codec: "H264/90000", fmtp: "profile-level-id=" + id + ";packetization-mode=0"},
				format{pt: uint8(97 + 3*i), codec: "H264/90000", fmtp: "packetization-mode=1; profile-level-id=" + strings.ToUpper(id)},
				format{pt: uint8(98 + 3*i), codec: "RTX/90000", fmtp: "apt=" + string([]byte{'9', byte('7' + 3*i)})},
			)
		}
		var s section
		s.chooseH264(formats, test.profile)
		if !strings.Contains(strings.ToLower(s.fmtp), test.want) {
			t.Errorf("profile %d of %v: %q", test.profile, test.offered, s.fmtp)
		}
	}
}

func TestOfferRefusals(t *testing.T) {
	offer := chromiumOffer(t)
	for _, test := range []struct {
		name, from, to string
		code           string
	}{
		{"as it is", "", "", ""},
		{"nonsense", offer, "hello", "BAD_SDP"},
		{"empty", offer, "", "OFFER_REFUSED"},
		{"no media", offer[strings.Index(offer, "m="):], "", "OFFER_REFUSED"},
		{"no H.264", "H264/90000", "H265/90000", "NO_H264"},
		{"no mode 1", "packetization-mode=1", "packetization-mode=0", "NO_H264"},
		{"sends only", "a=recvonly", "a=sendonly", "NO_H264"},
		{"no rtcp-mux", "a=rtcp-mux\r\n", "", "OFFER_REFUSED"},
		{"wants to be passive", "a=setup:actpass", "a=setup:passive", "OFFER_REFUSED"},
		{"no ufrag", "a=ice-ufrag:", "a=x:", "OFFER_REFUSED"},
		{"short password", "a=ice-pwd:", "a=ice-pwd:short\r\na=x:", "OFFER_REFUSED"},
		{"no fingerprint", "a=fingerprint:", "a=x:", "OFFER_REFUSED"},
		{"weak fingerprint", "a=fingerprint:sha-256", "a=fingerprint:md5", "OFFER_REFUSED"},
		{"no bundle", "a=group:BUNDLE 0 1\r\n", "", "OFFER_REFUSED"},
		{"wild mid", "a=mid:0", "a=mid:" + strings.Repeat("x", 99), "OFFER_REFUSED"},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := offer
			if test.from != "" {
				text = strings.ReplaceAll(offer, test.from, test.to)
			}
			_, err := parseOffer([]byte(text), 66)
			var why *refusal
			if errors.As(err, &why) && why.code != test.code || (err == nil) != (test.code == "") {
				t.Fatalf("%v, want %q", err, test.code)
			}
		})
	}
}

// Sections that are not wanted are answered in their place, refused.
func TestAnswerKeepsTheOrder(t *testing.T) {
	offer := chromiumOffer(t)
	extra := "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:9\r\na=sctp-port:5000\r\n"
	at := strings.Index(offer, "m=")
	o, err := parseOffer([]byte(offer[:at]+extra+offer[at:]), 66)
	if err != nil {
		t.Fatal(err)
	}
	var d sdp.SessionDescription
	if err := d.Unmarshal(testAnswerer().write(o)); err != nil {
		t.Fatal(err)
	}
	if len(d.MediaDescriptions) != 3 {
		t.Fatalf("%d sections", len(d.MediaDescriptions))
	}
	if m := d.MediaDescriptions[0].MediaName; m.Media != "application" || m.Port.Value != 0 {
		t.Errorf("the refused section: %v", m)
	}
	if group, _ := d.Attribute("group"); group != "BUNDLE 0 1" {
		t.Errorf("group %q", group)
	}
}

// A publisher's answer receives, with feedback that lets the sender adapt, and
// names no source.
func TestPublisherAnswer(t *testing.T) {
	offer := strings.ReplaceAll(chromiumOffer(t), "a=recvonly", "a=sendonly")
	o, err := parsePublish([]byte(offer))
	if err != nil {
		t.Fatal(err)
	}
	answer := string(testAnswerer().write(o))
	for _, want := range []string{"a=recvonly", "a=extmap:", "a=rtcp-fb:108 transport-cc", "a=rtcp-fb:108 nack\r", "a=rtcp-fb:108 nack pli",
		"a=rtcp-fb:111 transport-cc", "a=rtpmap:109 rtx/90000", " tcp ", "a=ice-lite"} {
		if !strings.Contains(answer, want) {
			t.Errorf("no %q in\n%s", want, answer)
		}
	}
	for _, never := range []string{"a=sendonly", "a=ssrc", "msid"} {
		if strings.Contains(answer, never) {
			t.Errorf("%q in\n%s", never, answer)
		}
	}
	if s := o.accepted("video"); s.seq == 0 || !s.twcc {
		t.Errorf("%+v", s)
	}
}

// FuzzOffer: no offer makes the parser fail in another way than a refusal, and
// every accepted one is answered with SDP that parses, section by section.
func FuzzOffer(f *testing.F) {
	offer := chromiumOffer(f)
	f.Add([]byte(offer), byte(66))
	f.Add([]byte(strings.ReplaceAll(offer, "a=mid:", "a=mid:\t")), byte(100))
	f.Add([]byte("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"), byte(77))
	f.Add([]byte(strings.ReplaceAll(offer, "a=recvonly", "a=sendonly")), byte(0)) // a publisher's
	f.Fuzz(func(t *testing.T, text []byte, profile byte) {
		o, err := parseOffer(text, profile)
		if profile == 0 {
			o, err = parsePublish(text)
		}
		var why *refusal
		if err != nil {
			if !errors.As(err, &why) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		answer := testAnswerer().write(o)
		var d sdp.SessionDescription
		if err := d.Unmarshal(answer); err != nil {
			t.Fatalf("%v in\n%s", err, answer)
		}
		if len(d.MediaDescriptions) != len(o.sections) || bytes.Count(answer, []byte("a=setup:passive")) == 0 {
			t.Fatalf("answer\n%s", answer)
		}
	})
}

// What a fragment of a PATCH names are whole lines of it, the first of their kind; a
// fragment of those two alone is read as the same.
func FuzzFragment(f *testing.F) {
	f.Add("a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n")
	f.Add("a=ice-ufrag:000\"")
	f.Add("a=ice-pwd:\n\ra=ice-ufrag:x\r\r\na=ice-ufrag:y")
	f.Fuzz(func(t *testing.T, text string) {
		ufrag, password := fragment(text)
		for name, value := range map[string]string{"a=ice-ufrag:": ufrag, "a=ice-pwd:": password} {
			if strings.Contains(value, "\n") || value != "" && !strings.Contains("\n"+text, "\n"+name+value) {
				t.Errorf("%s%q is no line of %q", name, value, text)
			}
		}
		if u, p := fragment("a=ice-ufrag:" + ufrag + "\r\na=ice-pwd:" + password + "\r\n"); u != ufrag || p != password {
			t.Errorf("%q and %q are read again as %q and %q", ufrag, password, u, p)
		}
		if token(ufrag, 4, 256) && strings.ContainsFunc(ufrag, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			t.Errorf("%q passes as a user fragment", ufrag)
		}
	})
}
