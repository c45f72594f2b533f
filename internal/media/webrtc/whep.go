package webrtc

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/hub"
)

const (
	maxBody = 64 << 10
	// readyWithin bounds the wait for a new feed's cached pictures.
	readyWithin = time.Second
)

// Register adds the WHEP routes: POST /live/{playback}/whep starts a session,
// PATCH and DELETE on the resource it names in Location trickle into it (which
// is accepted and ignored, no candidate of the client is needed) and end it.
// OPTIONS answers CORS preflights. Limits go by the request's RemoteAddr.
func (s *Server) Register(mux *http.ServeMux) {
	mux.HandleFunc("POST /live/{playback}/whep", s.play)
	mux.HandleFunc("PATCH /live/{playback}/whep/{session}", s.trickle)
	mux.HandleFunc("DELETE /live/{playback}/whep/{session}", s.hangUp)
	mux.HandleFunc("OPTIONS /live/{playback}/whep", preflight)
	mux.HandleFunc("OPTIONS /live/{playback}/whep/{session}", preflight)
}

// cors lets any page play: a playback id is all that is needed.
func cors(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Location, Link, ETag, Retry-After")
	h.Set("Cache-Control", "no-store")
}

func preflight(w http.ResponseWriter, _ *http.Request) {
	cors(w)
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "POST, PATCH, DELETE, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match")
	h.Set("Access-Control-Max-Age", "86400")
	h.Set("Accept-Post", "application/sdp")
	w.WriteHeader(http.StatusNoContent)
}

// play is the POST.
func (s *Server) play(w http.ResponseWriter, r *http.Request) {
	cors(w)
	at, answer, err := s.open(w, r)
	if err != nil {
		refuse(w, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/sdp")
	h.Set("Location", "/live/"+at.playback+"/whep/"+at.id)
	ufrag, _ := at.peer.Credentials()
	h.Set("ETag", `"`+ufrag+`"`)
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(answer)
}

// open makes a session of a request.
func (s *Server) open(w http.ResponseWriter, r *http.Request) (*session, []byte, error) {
	run, profile, err := s.find(r.PathValue("playback"))
	if err != nil {
		return nil, nil, err
	}
	client := clientAddr(r)
	if s.mux.Crowded(client) {
		return nil, nil, &refusal{http.StatusTooManyRequests, "TOO_MANY_PENDING",
			"Too many players from your address are connecting at once. Try again in a few seconds."}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, nil, &refusal{http.StatusRequestEntityTooLarge, "BAD_SDP", "The offer is longer than 64 KiB or was cut short."}
	}
	o, err := parseOffer(body, profile)
	if err != nil {
		return nil, nil, err
	}
	f, err := s.feed(run)
	if err != nil {
		return nil, nil, err
	}
	if err := f.playable(r.Context()); err != nil {
		return nil, nil, err
	}
	at, err := s.admit(o, f, r.PathValue("playback"), client)
	if err != nil {
		return nil, nil, err
	}
	a := answerer{
		session: uint64(at.peer.Since().UnixNano()), fingerprint: s.mux.Fingerprint(),
		candidates: s.mux.Candidates(client, r.Host), video: f.video.SSRC(), rtx: f.rtx, audio: f.audio.SSRC(),
	}
	a.ufrag, a.password = at.peer.Credentials()
	return at, a.write(o), nil
}

// find returns the run that a playback id names, and its H.264 profile_idc.
func (s *Server) find(playback string) (*hub.Run, byte, error) {
	stream := s.streams.ByPlayback(playback)
	if stream == nil {
		return nil, 0, &refusal{http.StatusNotFound, "NO_STREAM", "There is no stream at this address."}
	}
	run := stream.Run()
	if run == nil {
		return nil, 0, &refusal{http.StatusServiceUnavailable, "NOT_LIVE", "The stream is not live yet."}
	}
	track := run.Tracks()[0]
	if err := playable(track); err != nil {
		return nil, 0, err
	}
	return run, track.Codec.(*codec.H264).SPS[1], nil
}

// playable waits for a new feed to read the pictures that are cached, and says
// whether they can be played.
func (f *feed) playable(ctx context.Context) error {
	timeout := time.NewTimer(readyWithin)
	defer timeout.Stop()
	select {
	case <-f.ready:
	case <-timeout.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	if why := f.failed.Load(); why != nil {
		return why
	}
	return nil
}

// named returns the session that a request's path names; nil when there is none.
func (s *Server) named(r *http.Request) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.sessions[r.PathValue("session")]
	if at == nil || at.playback != r.PathValue("playback") {
		return nil
	}
	return at
}

// trickle is the PATCH.
func (s *Server) trickle(w http.ResponseWriter, r *http.Request) {
	cors(w)
	if s.named(r) == nil {
		refuse(w, errNoSession())
		return
	}
	if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
		refuse(w, &refusal{http.StatusRequestEntityTooLarge, "BAD_SDP", "The fragment is longer than 64 KiB."})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// hangUp is the DELETE.
func (s *Server) hangUp(w http.ResponseWriter, r *http.Request) {
	cors(w)
	at := s.named(r)
	if at == nil {
		refuse(w, errNoSession())
		return
	}
	s.drop(at, "deleted by the viewer")
	w.WriteHeader(http.StatusOK)
}

func errNoSession() *refusal {
	return &refusal{http.StatusNotFound, "NO_SESSION", "There is no such playback session; it may have ended."}
}

// refuse answers with an RFC 9457 problem: a sentence and a code. What may be
// different in a moment says when to come again.
func refuse(w http.ResponseWriter, err error) {
	var why *refusal
	if !errors.As(err, &why) {
		why = &refusal{http.StatusInternalServerError, "INTERNAL", "Playback could not be started."}
	}
	h := w.Header()
	if why.status == http.StatusServiceUnavailable || why.status == http.StatusTooManyRequests ||
		why.code == "NO_STREAM" {
		h.Set("Retry-After", "1")
	}
	h.Set("Content-Type", "application/problem+json")
	w.WriteHeader(why.status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"title": http.StatusText(why.status), "status": why.status, "code": why.code, "detail": why.detail,
	})
}

// clientAddr is the address of the client; the zero Addr when it is not one.
func clientAddr(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}
