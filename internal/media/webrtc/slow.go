package webrtc

import (
	"net/http"
	"net/netip"
	"time"

	"glimpse/internal/media/webrtc/transport"
)

// WHEP has no word for "play something else": a viewer whose network is too slow
// is disconnected, and its next request within slowFor is refused with the reason.
const (
	slowFor  = 10 * time.Second
	maxPlace = 1024
)

// place is where a viewer of a stream is.
type place struct {
	playback string
	site     netip.Prefix
}

// dropSlow ends the sessions whose network is too slow.
func (s *Server) dropSlow(now time.Time) {
	s.mu.Lock()
	for _, at := range s.sessions {
		if at.slow() && len(s.tooSlow) < maxPlace {
			s.tooSlow[placeOf(at.playback, at.client)] = now
		}
	}
	for p, since := range s.tooSlow {
		if now.Sub(since) > slowFor {
			delete(s.tooSlow, p)
		}
	}
	s.mu.Unlock()
	s.dropAll((*session).slow, "its network is too slow for WebRTC")
}

// slowHere refuses the next request from where a viewer was too slow, once.
func (s *Server) slowHere(playback string, client netip.Addr) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := placeOf(playback, client)
	if _, slow := s.tooSlow[p]; !slow {
		return nil
	}
	delete(s.tooSlow, p)
	return &refusal{http.StatusConflict, "TOO_SLOW", "Your network is too slow for WebRTC at the moment: play LL-HLS."}
}

func placeOf(playback string, client netip.Addr) place {
	return place{playback, transport.Site(client)}
}
