package webrtc

import (
	"crypto/rand"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"glimpse/internal/media/hub"
	"glimpse/internal/media/webrtc/transport"
)

// session is one WHEP resource: a browser from its POST to its end.
type session struct {
	server   *Server
	feed     *feed
	log      *slog.Logger
	id       string
	playback string
	client   netip.Addr // who posted
	offer    *offer
	peer     *transport.Peer

	viewer atomic.Pointer[viewer] // nil until the handshake is over
	leave  func()                 // the stream's viewer count; set before viewer
}

var _ transport.Handler = (*session)(nil)

func newSession(s *Server, f *feed, playback string, client netip.Addr, o *offer) *session {
	at := &session{server: s, feed: f, id: rand.Text(), playback: playback, client: client, offer: o}
	at.log = f.log.With("session", at.id[:8])
	return at
}

// hears reports whether sound was accepted.
func (s *session) hears() bool { return s.offer.accepted("audio") != nil }

// payloadTypes of the accepted sections.
func (s *session) payloadTypes() payloadTypes {
	video := s.offer.accepted("video")
	pt := payloadTypes{video: video.pt, rtx: video.rtx}
	if a := s.offer.accepted("audio"); a != nil {
		pt.audio = a.pt
	}
	return pt
}

// Connected lets the viewer join.
func (s *session) Connected(k *transport.Keys, to transport.Destination) {
	now := time.Now()
	v := newViewer(s.feed, s.payloadTypes(), k, to)
	v.join(now)
	s.leave = s.feed.run.Stream().AddViewer(hub.ViewerInfo{Protocol: "whep", Remote: s.client.String(), Stats: v.told})
	s.viewer.Store(v)
	s.server.stats.viewers.Add(1)
	s.feed.add(v)
	s.log.Info("webrtc viewer joined", "after", now.Sub(s.peer.Since()).Round(time.Millisecond), "tcp", to.Reliable())
}

// Moved sends to another address from now on.
func (s *session) Moved(to transport.Destination) { s.viewer.Load().move(to) }

// Received handles RTCP; viewers send no media.
func (s *session) Received(b []byte, now time.Time) {
	if v := s.viewer.Load(); v != nil && isControl(b) {
		v.feedback(b, now)
	}
}

// isControl tells RTCP from RTP (RFC 5761 §4).
func isControl(b []byte) bool { return b[1] >= 192 && b[1] <= 223 }

// Missed sends the pictures again, from the key picture on.
func (s *session) Missed(now time.Time) {
	v := s.viewer.Load()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.restart(now) {
		s.feed.wake()
	}
}

// Ended drops the session.
func (s *session) Ended(reason string) { s.server.drop(s, reason) }

// failed reports whether the viewer cannot go on.
func (s *session) failed() bool {
	v := s.viewer.Load()
	return v != nil && v.over()
}

// slow reports whether the viewer was given up because of its network.
func (s *session) slow() bool {
	v := s.viewer.Load()
	if v == nil {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.slow
}

// end closes the session, which the server has forgotten; the peer is told.
func (s *session) end(reason string) {
	s.peer.Close()
	v := s.viewer.Load()
	if v == nil {
		s.log.Info("webrtc session ended before it connected", "reason", reason)
		return
	}
	v.close()
	s.feed.remove(v)
	s.leave()
	s.server.stats.viewers.Add(-1)
	s.log.Info("webrtc viewer left", "reason", reason, "watched", time.Since(s.peer.Since()).Round(time.Second))
}
