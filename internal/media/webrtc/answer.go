package webrtc

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// answerer is what an answer needs besides the offer.
type answerer struct {
	session     uint64 // for o=
	ufrag       string
	password    string
	fingerprint string // SHA-256
	candidates  []netip.AddrPort
	video       uint32 // SSRCs, for viewers
	rtx         uint32
	audio       uint32
}

// write makes the answer: ICE-lite, passive, bundled, one candidate per address,
// and for viewers no header extensions (nothing may differ between two sends of a
// packet).
func (a *answerer) write(o *offer) []byte {
	var b strings.Builder
	line := func(format string, v ...any) { fmt.Fprintf(&b, format+"\r\n", v...) }
	line("v=0\r\no=- %d 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0", a.session)
	var mids []string
	for _, s := range o.sections {
		if s.pt != 0 && s.mid != "" {
			mids = append(mids, s.mid)
		}
	}
	if len(mids) > 0 {
		line("a=group:BUNDLE %s", strings.Join(mids, " "))
	}
	line("a=ice-lite")
	if !o.publish {
		line("a=msid-semantic: WMS glimpse")
	}
	for i := range o.sections {
		a.section(line, &o.sections[i], o.publish)
	}
	return []byte(b.String())
}

func (a *answerer) section(line func(string, ...any), s *section, publish bool) {
	if s.pt == 0 {
		line("m=%s 0 %s 0\r\nc=IN IP4 0.0.0.0\r\na=inactive", s.kind, protoOf(s))
		if s.mid != "" {
			line("a=mid:%s", s.mid)
		}
		return
	}
	formats := strconv.Itoa(int(s.pt))
	if s.rtx != 0 {
		formats += " " + strconv.Itoa(int(s.rtx))
	}
	line("m=%s 9 UDP/TLS/RTP/SAVPF %s\r\nc=IN IP4 0.0.0.0", s.kind, formats)
	if s.mid != "" {
		line("a=mid:%s", s.mid)
	}
	direction := "sendonly"
	if publish {
		direction = "recvonly"
	}
	line("a=" + direction + "\r\na=rtcp-mux\r\na=rtcp-rsize")
	line("a=ice-ufrag:%s\r\na=ice-pwd:%s", a.ufrag, a.password)
	line("a=fingerprint:sha-256 %s\r\na=setup:passive", a.fingerprint)
	line("a=rtpmap:%d %s", s.pt, s.name)
	if s.fmtp != "" {
		line("a=fmtp:%d %s", s.pt, s.fmtp)
	}
	if s.nack {
		line("a=rtcp-fb:%d nack", s.pt)
	}
	if s.pli {
		line("a=rtcp-fb:%d nack pli", s.pt)
	}
	if s.rtx != 0 {
		line("a=rtpmap:%d rtx/90000\r\na=fmtp:%d apt=%d", s.rtx, s.rtx, s.pt)
	}
	if publish {
		if s.twcc {
			line("a=rtcp-fb:%d transport-cc\r\na=extmap:%d "+transportSequence, s.pt, s.seq)
		}
	} else {
		a.source(line, s)
	}
	a.reachable(line)
	line("a=end-of-candidates")
}

// source names what is sent.
func (a *answerer) source(line func(string, ...any), s *section) {
	ssrc := a.video
	if s.kind == "audio" {
		ssrc = a.audio
	}
	line("a=msid:glimpse %s", s.kind)
	if s.rtx != 0 {
		line("a=ssrc-group:FID %d %d", ssrc, a.rtx)
	}
	// The first a=ssrc must be the media's: with that of the retransmissions
	// first, browsers connect and decode nothing.
	line("a=ssrc:%d cname:glimpse", ssrc)
	if s.rtx != 0 {
		line("a=ssrc:%d cname:glimpse", a.rtx)
	}
}

// protoOf echoes the protocol of a refused section if it is a plain one.
func protoOf(s *section) string {
	if token(s.proto, 1, 32) {
		return s.proto
	}
	return "UDP/TLS/RTP/SAVPF"
}

// reachable lists the candidates: UDP, and TCP for when there is no other way.
func (a *answerer) reachable(line func(string, ...any)) {
	// RFC 8445 §5.1.2.1 and RFC 6544 §4.2: type host (below UDP for TCP, which is
	// passive), local preference by order.
	for i, c := range a.candidates {
		priority := 126<<24 | (65535-i)<<8 | 255
		line("a=candidate:%d 1 udp %d %s %d typ host", i+1, priority, c.Addr(), c.Port())
	}
	for i, c := range a.candidates {
		priority := 90<<24 | (4<<13|8191-i)<<8 | 255
		line("a=candidate:%d 1 tcp %d %s %d typ host tcptype passive", len(a.candidates)+i+1, priority, c.Addr(), c.Port())
	}
}
