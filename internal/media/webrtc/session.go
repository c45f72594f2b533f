package webrtc

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	connectWithin = 10 * time.Second // from POST to the end of the handshake
	idleAfter     = 30 * time.Second // without a check; a paused tab still checks
	// settle is waited between the handshake and the first packet: the server
	// finishes half a round trip earlier, and a client that hands DTLS to another
	// thread throws away what comes at once.
	settle       = 5 * time.Millisecond
	maxAddresses = 8 // of one session
)

// session is one WHEP resource: a browser from its POST to its end.
type session struct {
	server   *Server
	feed     *feed
	log      *slog.Logger
	id       string
	playback string
	client   netip.Addr // who posted, for the cap
	offer    *offer
	cred     credentials
	created  time.Time
	leave    func() // the stream's viewer count

	ctx    context.Context // ends with the session
	cancel context.CancelFunc

	mu      sync.Mutex
	closed  bool
	link    *link
	path    path
	known   []netip.AddrPort // addresses that passed a check, oldest first
	checked time.Time
	viewer  *viewer // nil until the handshake is over
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

// reached records an authenticated check: a new address is one of ours from now
// on, the newest nominated one is where we send. The first starts the handshake.
// It returns the address to add to and the one to take out of the server's table.
func (s *session) reached(p path, nominated bool, now time.Time) (add, forget netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return add, forget
	}
	s.checked = now
	if !slices.Contains(s.known, p.remote) {
		s.known = append(s.known, p.remote)
		add = p.remote
		if len(s.known) > maxAddresses {
			forget = s.known[0]
			s.known = slices.Delete(s.known, 0, 1)
		}
	}
	if s.link == nil {
		s.path, s.link = p, newLink(s.server.socket, p)
		if !s.server.spawn(s.connect) {
			s.closed = true
		}
	} else if nominated && p != s.path {
		s.path = p
		s.link.move(p)
		if s.viewer != nil {
			s.viewer.move(s.server.socket.destination(p))
		}
	}
	return add, forget
}

// connect runs the handshake and lets the viewer join.
func (s *session) connect() {
	ctx, cancel := context.WithDeadline(s.ctx, s.created.Add(connectWithin))
	defer cancel()
	keys, err := handshake(ctx, s.link, s.server.identity, s.offer.fingerprint)
	if err != nil {
		s.log.Debug("webrtc handshake failed", "error", err)
		s.server.drop(s, "handshake failed")
		return
	}
	select {
	case <-time.After(settle):
	case <-ctx.Done():
		return
	}
	s.begin(keys)
}

// begin makes the viewer.
func (s *session) begin(k *keys) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	now := time.Now()
	v := newViewer(s.feed, s.payloadTypes(), k, s.server.socket.destination(s.path))
	v.join(now)
	s.viewer = v
	s.leave = s.feed.run.Stream().AddViewer("whep")
	s.server.stats.pending.Add(-1)
	s.server.stats.viewers.Add(1)
	s.feed.add(v)
	s.log.Info("webrtc viewer joined", "remote", s.path.remote, "after", now.Sub(s.created).Round(time.Millisecond))
}

// dtls handles a DTLS datagram from one of the session's addresses. It says
// whether the peer has ended the session.
func (s *session) dtls(b []byte, from netip.AddrPort, now time.Time) (over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed || s.link == nil:
	case s.viewer == nil:
		s.link.feed(b)
	case b[0] == dtlsHandshake || b[0] == dtlsChangeCipherSpec:
		// The client lacks our Finished, so it could not open what came since.
		s.link.again()
		s.viewer.mu.Lock()
		if s.viewer.restart(now) {
			s.feed.wake()
		}
		s.viewer.mu.Unlock()
	case b[0] == dtlsAlert:
		// It cannot be authenticated any more; the address was.
		return from == s.path.remote
	}
	return false
}

// control handles RTCP.
func (s *session) control(b []byte, scratch *batch, now time.Time) {
	s.mu.Lock()
	v := s.viewer
	s.mu.Unlock()
	if v != nil {
		v.feedback(b, scratch, now)
	}
}

// waiting reports whether the handshake is still to come.
func (s *session) waiting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.viewer == nil && !s.closed
}

// expired says why the session must end by itself; "" when it need not.
func (s *session) expired(now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.viewer == nil && now.Sub(s.created) >= connectWithin:
		return "did not connect"
	case s.viewer != nil && now.Sub(s.checked) >= idleAfter:
		return "no checks for 30 s"
	case s.viewer != nil && s.viewer.over():
		return "internal error"
	}
	return ""
}

// end closes the session once and returns its addresses; the peer is told.
func (s *session) end(reason string) []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.cancel()
	if s.viewer == nil {
		s.server.stats.pending.Add(-1)
		s.server.stats.failed.Add(1)
		s.log.Info("webrtc session ended before it connected", "reason", reason)
	} else {
		s.viewer.close()
		s.feed.remove(s.viewer)
		s.leave()
		s.link.bye()
		s.server.stats.viewers.Add(-1)
		s.log.Info("webrtc viewer left", "reason", reason, "watched", time.Since(s.created).Round(time.Second))
	}
	return s.known
}
