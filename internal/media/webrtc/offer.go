package webrtc

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pion/dtls/v3/pkg/crypto/fingerprint"
	"github.com/pion/sdp/v3"
)

const (
	maxSections = 16
	maxFormats  = 128
)

// refusal is an error that is told to the client.
type refusal struct {
	status int // HTTP
	code   string
	detail string
}

func (r *refusal) Error() string { return r.detail }

func notAcceptable(format string, a ...any) *refusal {
	return &refusal{406, "OFFER_REFUSED", fmt.Sprintf(format, a...)}
}

// section is one m= line of an offer and what is answered to it.
type section struct {
	kind  string // "video", "audio", …
	proto string
	mid   string
	pt    uint8 // accepted payload type; 0 refuses the section
	rtx   uint8 // payload type of retransmissions, 0 for none
	name  string
	fmtp  string
	nack  bool
	pli   bool
	twcc  bool  // transport-wide feedback,
	seq   uint8 // and the id of its header extension
}

// offer is what a browser wants, as far as it matters here.
type offer struct {
	publish     bool // the client sends
	sections    []section
	ufrag       string
	password    string
	fingerprint string // "sha-256 AB:CD…"
}

// accepted returns the section in which a kind of media was accepted.
func (o *offer) accepted(kind string) *section {
	for i := range o.sections {
		if s := &o.sections[i]; s.kind == kind && s.pt != 0 {
			return s
		}
	}
	return nil
}

// parseOffer reads a viewer's SDP offer and chooses payload types: the first
// section that wants video with H.264 for profile (the profile_idc of the stream),
// the first that wants audio with Opus. Errors are *refusal.
func parseOffer(text []byte, profile byte) (*offer, error) {
	return readOffer(text, &offer{}, profile)
}

// parsePublish reads a publisher's offer: the first section that sends H.264,
// constrained baseline if there is a choice, which every browser can play; the
// first that sends Opus.
func parsePublish(text []byte) (*offer, error) {
	return readOffer(text, &offer{publish: true}, 66)
}

func readOffer(text []byte, o *offer, profile byte) (*offer, error) {
	var d sdp.SessionDescription
	if err := d.Unmarshal(text); err != nil {
		return nil, &refusal{400, "BAD_SDP", "This is not a valid SDP offer."}
	}
	if len(d.MediaDescriptions) == 0 || len(d.MediaDescriptions) > maxSections {
		return nil, notAcceptable("The offer has %d media sections; 1 to %d are possible.",
			len(d.MediaDescriptions), maxSections)
	}
	for _, m := range d.MediaDescriptions {
		s := section{kind: m.MediaName.Media, proto: strings.Join(m.MediaName.Protos, "/")}
		s.mid, _ = m.Attribute("mid")
		if !token(s.mid, 0, 32) || !token(s.kind, 1, 16) || len(m.MediaName.Formats) > maxFormats {
			return nil, notAcceptable("A media section of the offer is not usable.")
		}
		if o.usable(&d, m) && o.accepted(s.kind) == nil {
			formats := parseFormats(m)
			switch s.kind {
			case "video":
				s.chooseH264(formats, profile)
			case "audio":
				s.chooseOpus(formats)
			}
			if o.publish {
				s.sequences(m)
			}
		}
		if s.pt != 0 {
			if err := o.transport(&d, m); err != nil {
				return nil, err
			}
		}
		o.sections = append(o.sections, s)
	}
	if o.accepted("video") == nil {
		if o.publish {
			return nil, &refusal{406, "NO_H264", "The offer does not send H.264 video, which is what can be published."}
		}
		return nil, &refusal{406, "NO_H264", "The offer does not ask for H.264 video with packetization-mode=1, " +
			"which is what this stream is."}
	}
	return o, nil
}

// transport checks and takes the transport attributes of an accepted section.
// With BUNDLE all sections have the same; the first one's count.
func (o *offer) transport(d *sdp.SessionDescription, m *sdp.MediaDescription) error {
	if _, ok := m.Attribute("rtcp-mux"); !ok {
		return notAcceptable("The offer has no rtcp-mux.")
	}
	if setup := attribute(d, m, "setup"); setup != "actpass" && setup != "active" {
		return notAcceptable("The offer must let the server be passive: a=setup:actpass.")
	}
	if o.ufrag != "" {
		if group := strings.Fields(groupOf(d)); len(group) == 0 || group[0] != "BUNDLE" {
			return notAcceptable("The offer must bundle its media sections.")
		}
		return nil
	}
	o.ufrag, o.password = attribute(d, m, "ice-ufrag"), attribute(d, m, "ice-pwd")
	if !token(o.ufrag, 4, 256) || !token(o.password, 22, 256) {
		return notAcceptable("The offer has no usable ICE credentials.")
	}
	name, value, _ := strings.Cut(attribute(d, m, "fingerprint"), " ")
	name = strings.ToLower(name)
	if _, err := fingerprint.HashFromString(name); err != nil || name == "md5" || name == "sha-1" || len(value) > 200 {
		return notAcceptable("The offer has no usable certificate fingerprint; sha-256 is what browsers send.")
	}
	o.fingerprint = name + " " + value
	return nil
}

func groupOf(d *sdp.SessionDescription) string {
	g, _ := d.Attribute("group")
	return g
}

// attribute of the section or else of the session.
func attribute(d *sdp.SessionDescription, m *sdp.MediaDescription, key string) string {
	if v, ok := m.Attribute(key); ok {
		return v
	}
	v, _ := d.Attribute(key)
	return v
}

// usable reports whether the section goes the way that the offer is for.
func (o *offer) usable(d *sdp.SessionDescription, m *sdp.MediaDescription) bool {
	if m.MediaName.Port.Value == 0 {
		if _, bundled := m.Attribute("bundle-only"); !bundled {
			return false
		}
	}
	never := []string{"sendonly", "inactive"}
	if o.publish {
		never[0] = "recvonly"
	}
	for _, key := range never {
		if _, ok := m.Attribute(key); ok {
			return false
		}
		if _, ok := d.Attribute(key); ok {
			return false
		}
	}
	return true
}

// token reports whether s is of lo to hi characters that are harmless in SDP.
func token(s string, lo, hi int) bool {
	if len(s) < lo || len(s) > hi {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// format is one payload type of an offered section.
type format struct {
	pt        uint8
	codec     string // "H264/90000", upper case
	fmtp      string
	nack, pli bool
	twcc      bool
}

// param returns a parameter of the format, lower case.
func (f *format) param(key string) string {
	for p := range strings.SplitSeq(f.fmtp, ";") {
		k, v, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(k, key) {
			return strings.ToLower(v)
		}
	}
	return ""
}

func parseFormats(m *sdp.MediaDescription) []format {
	var list []format
	find := func(value string) (*format, string) {
		pt, rest, _ := strings.Cut(value, " ")
		for i := range list {
			if strconv.Itoa(int(list[i].pt)) == pt {
				return &list[i], rest
			}
		}
		return nil, ""
	}
	for _, s := range m.MediaName.Formats {
		// 64-95 cannot be told from RTCP when both share a port (RFC 5761 §4).
		if n, err := strconv.ParseUint(s, 10, 7); err == nil && n > 0 && (n < 64 || n > 95) {
			list = append(list, format{pt: uint8(n)})
		}
	}
	for _, a := range m.Attributes {
		f, rest := find(a.Value)
		if f == nil || len(rest) > 512 {
			continue
		}
		switch a.Key {
		case "rtpmap":
			f.codec = strings.ToUpper(rest)
		case "fmtp":
			f.fmtp = rest
		case "rtcp-fb":
			f.nack = f.nack || rest == "nack"
			f.pli = f.pli || rest == "nack pli"
			f.twcc = f.twcc || rest == "transport-cc"
		}
	}
	return list
}

// profileRank orders the H.264 profiles that browsers offer; -1 for others.
func profileRank(idc byte) int {
	switch idc {
	case 66:
		return 0
	case 77:
		return 1
	case 100:
		return 2
	case 244:
		return 3
	}
	return -1
}

// chooseH264 takes the offered format whose profile is nearest to the stream's:
// the same, else the next higher, else the highest (a High stream is sent under
// Main when that is all there is; decoders do not mind).
func (s *section) chooseH264(formats []format, profile byte) {
	want, best := profileRank(profile), 1<<10
	for i := range formats {
		f := &formats[i]
		if f.codec != "H264/90000" || f.param("packetization-mode") != "1" {
			continue
		}
		id, err := strconv.ParseUint(f.param("profile-level-id"), 16, 24)
		if err != nil {
			id = 0x420010 // the default of RFC 6184 §8.1
		}
		rank := profileRank(byte(id >> 16))
		if rank < 0 {
			continue
		}
		score := 2 * (rank - want)
		if score < 0 {
			score = 100 - score
		}
		if profile == 66 && rank == 0 && id>>8&0x40 == 0 {
			score++ // constrained baseline first: what every encoder means
		}
		if score < best {
			best = score
			s.pt, s.fmtp, s.nack, s.pli, s.twcc, s.name = f.pt, f.fmtp, f.nack, f.pli, f.twcc, "H264/90000"
		}
	}
	s.rtx = 0
	for i := range formats {
		if f := &formats[i]; s.pt != 0 && f.codec == "RTX/90000" && f.param("apt") == strconv.Itoa(int(s.pt)) {
			s.rtx = f.pt
		}
	}
}

func (s *section) chooseOpus(formats []format) {
	for i := range formats {
		if f := &formats[i]; f.codec == "OPUS/48000/2" {
			s.pt, s.twcc, s.name = f.pt, f.twcc, "opus/48000/2"
			s.fmtp = "minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1"
			return
		}
	}
}

// transportSequence is the header extension by which senders of today learn what
// the way carries.
const transportSequence = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"

// sequences looks for that extension, with a one-byte id (RFC 8285 §4.2).
func (s *section) sequences(m *sdp.MediaDescription) {
	for _, a := range m.Attributes {
		id, uri, _ := strings.Cut(a.Value, " ")
		id, _, _ = strings.Cut(id, "/")
		if n, err := strconv.ParseUint(id, 10, 4); a.Key == "extmap" && err == nil && n > 0 && n < 15 && uri == transportSequence {
			s.seq = uint8(n)
		}
	}
	s.twcc = s.twcc && s.seq != 0
}
