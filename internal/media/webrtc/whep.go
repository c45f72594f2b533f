package webrtc

import (
	"context"
	"net/http"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/hub"
)

// readyWithin bounds the wait for a new feed's cached pictures.
const readyWithin = time.Second

// Register adds the WHEP routes: POST /live/{playback}/whep starts a session,
// PATCH on the resource it names in Location restarts ICE or trickles (which is
// accepted and ignored, no candidate of the client is needed), DELETE ends it.
// OPTIONS answers CORS preflights. For publishers the same by WHIP (RFC 9725):
// POST /whip/{key}, or POST /whip with the key as a bearer token. Limits go by the
// request's RemoteAddr.
func (s *Server) Register(mux *http.ServeMux) {
	mux.HandleFunc("POST /live/{playback}/whep", s.play)
	mux.HandleFunc("PATCH /live/{playback}/whep/{session}", s.trickle)
	mux.HandleFunc("DELETE /live/{playback}/whep/{session}", s.hangUp)
	mux.HandleFunc("OPTIONS /live/{playback}/whep", preflight)
	mux.HandleFunc("OPTIONS /live/{playback}/whep/{session}", preflight)
	mux.HandleFunc("POST /whip", s.publish)
	mux.HandleFunc("POST /whip/{key}", s.publish)
	mux.HandleFunc("PATCH /whip/{key}/{session}", s.tricklePublisher)
	mux.HandleFunc("DELETE /whip/{key}/{session}", s.hangUpPublisher)
	mux.HandleFunc("OPTIONS /whip", preflight)
	mux.HandleFunc("OPTIONS /whip/{rest...}", preflight)
}

// play is the POST.
func (s *Server) play(w http.ResponseWriter, r *http.Request) {
	cors(w)
	at, answer, err := s.open(w, r)
	if err != nil {
		refuse(w, err)
		return
	}
	created(w, "/live/"+at.playback+"/whep/"+at.id, at.peer, answer)
}

// open makes a session of a request.
func (s *Server) open(w http.ResponseWriter, r *http.Request) (*session, []byte, error) {
	run, profile, err := s.find(r.PathValue("playback"))
	if err != nil {
		return nil, nil, err
	}
	client := clientAddr(r)
	if err := s.slowHere(r.PathValue("playback"), client); err != nil {
		return nil, nil, err
	}
	body, err := s.read(w, r, client)
	if err != nil {
		return nil, nil, err
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
	a := s.answerer(at.peer, client, r.Host)
	a.video, a.rtx, a.audio = f.video.SSRC(), f.rtx, f.audio.SSRC()
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
	if at := s.named(r); at == nil {
		refuse(w, errNoSession())
	} else {
		patch(w, r, at.peer)
	}
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
	return &refusal{http.StatusNotFound, "NO_SESSION", "There is no such session; it may have ended."}
}
