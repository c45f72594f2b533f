package webrtc

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"glimpse/internal/media/hub"
	"glimpse/internal/media/webrtc/transport"
	"glimpse/internal/strangers"
)

// publish is the POST of WHIP (RFC 9725 §4.2).
func (s *Server) publish(w http.ResponseWriter, r *http.Request) {
	cors(w)
	key, bearer := keyOf(r)
	if key == "" {
		w.Header().Set("WWW-Authenticate", "Bearer")
		refuse(w, &refusal{http.StatusUnauthorized, "NO_KEY", "The ingest key is missing: POST to /whip/<key>, or send it as a bearer token."})
		return
	}
	p, answer, err := s.ingest(w, r, key, bearer)
	if err != nil {
		refuse(w, err)
		return
	}
	strangers.Known(r.Context())
	at := "/whip/-/"
	if !bearer {
		at = "/whip/" + url.PathEscape(key) + "/"
	}
	created(w, at+p.id, p.peer, answer)
}

// keyOf returns the ingest key of a request, and whether it came as a bearer token
// and not in the path.
func keyOf(r *http.Request) (key string, bearer bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token), true
	}
	return r.PathValue("key"), false
}

// ingest makes a publisher of a request. The key is checked first.
func (s *Server) ingest(w http.ResponseWriter, r *http.Request, key string, bearer bool) (*publisher, []byte, error) {
	client := clientAddr(r)
	p := newPublisher(s, sha256.Sum256([]byte(key)), bearer)
	var err error
	info := hub.PublisherInfo{Protocol: "whip", Remote: r.RemoteAddr, AskKey: p.askKey, Link: p.status}
	if p.out, err = s.streams.Publish(key, info); err != nil {
		p.leave("refused")
		s.stats.publishersRefused.Add(1)
		s.log.Info("whip publisher refused", "reason", err)
		return nil, nil, refused(err)
	}
	if err := s.receive(w, r, p, client); err != nil {
		p.leave("refused")
		p.out.Close()
		return nil, nil, err
	}
	return p, s.answerer(p.peer, client, r.Host).write(p.offer), nil
}

// receive reads a publisher's offer and starts it.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, p *publisher, client netip.Addr) error {
	p.log = p.log.With("stream", p.out.Stream().ID())
	body, err := s.read(w, r, client)
	if err != nil {
		return err
	}
	if p.offer, err = parsePublish(body); err != nil {
		return err
	}
	if p.peer, err = s.mux.Open(transport.Spec{
		Client: client, Ufrag: p.offer.ufrag, Fingerprint: p.offer.fingerprint, Handler: p, Log: p.log,
	}); err != nil {
		return shuttingDown()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !s.spawn(p.serve) {
		p.peer.Close()
		return shuttingDown()
	}
	s.publishers[p.id] = p
	s.mux.Wake() // for its feedback, also when it comes by TCP
	return nil
}

// refused is what the hub's refusal means to a client.
func refused(err error) *refusal {
	switch {
	case errors.Is(err, hub.ErrUnknownKey):
		return &refusal{http.StatusUnauthorized, "UNKNOWN_KEY", "No stream has this key."}
	case errors.Is(err, hub.ErrBusy), errors.Is(err, hub.ErrRefused):
		return &refusal{http.StatusConflict, "BUSY", sentence(err)}
	}
	return &refusal{http.StatusGone, "ENDED", sentence(err)}
}

func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// publisherOf returns the publisher that a request's path names, if the request
// has its key; nil otherwise.
func (s *Server) publisherOf(r *http.Request) *publisher {
	s.mu.Lock()
	p := s.publishers[r.PathValue("session")]
	s.mu.Unlock()
	if p == nil {
		return nil
	}
	key, bearer := keyOf(r)
	hash := sha256.Sum256([]byte(key))
	if bearer != p.bearer || subtle.ConstantTimeCompare(hash[:], p.key[:]) == 0 {
		return nil
	}
	return p
}

// tricklePublisher is the PATCH.
func (s *Server) tricklePublisher(w http.ResponseWriter, r *http.Request) {
	cors(w)
	if p := s.publisherOf(r); p == nil {
		refuse(w, errNoSession())
	} else {
		patch(w, r, p.peer)
	}
}

// hangUpPublisher is the DELETE.
func (s *Server) hangUpPublisher(w http.ResponseWriter, r *http.Request) {
	cors(w)
	p := s.publisherOf(r)
	if p == nil {
		refuse(w, errNoSession())
		return
	}
	p.leave("deleted by the publisher")
	select { // the stream knows when the answer comes
	case <-p.over:
	case <-time.After(time.Second):
	}
	w.WriteHeader(http.StatusOK)
}
