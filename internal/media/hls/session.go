package hls

import (
	"crypto/rand"
	"strings"
	"time"

	"glimpse/internal/media/hub"
)

const (
	// expiry is how long a session counts as a viewer after its last request:
	// players without low latency ask once in a target duration.
	expiry = 20 * time.Second
	// maxSessions of one stream; further ones are served but not counted.
	maxSessions = 8192
	// maxBlocked bounds the requests of one session that wait at once, and
	// maxAnonymous those of a stream without one.
	maxBlocked   = 8
	maxAnonymous = 1024
)

// audience is who watches one stream. Guarded by Handler.mu.
type audience struct {
	sessions  map[string]*session
	anonymous int // requests without a session that wait
}

// session is one viewer. Guarded by Handler.mu.
type session struct {
	leave   func()
	timer   *time.Timer
	seen    time.Time
	blocked int
}

func newSession() string { return strings.ToLower(rand.Text()[:sessionLen]) }

// audienceOf returns a stream's audience; h.mu is held.
func (h *Handler) audienceOf(stream *hub.Stream) *audience {
	a := h.audiences[stream]
	if a == nil {
		a = &audience{sessions: map[string]*session{}}
		h.audiences[stream] = a
	}
	return a
}

// tidy forgets an audience that is nobody; h.mu is held.
func (h *Handler) tidy(stream *hub.Stream) {
	if a := h.audiences[stream]; a != nil && len(a.sessions) == 0 && a.anonymous == 0 {
		delete(h.audiences, stream)
	}
}

// see counts a session as a viewer, or goes on counting it.
func (h *Handler) see(stream *hub.Stream, id string) {
	if id == "" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	a := h.audienceOf(stream)
	s := a.sessions[id]
	if s == nil {
		if len(a.sessions) >= maxSessions {
			return
		}
		s = &session{leave: stream.AddViewer("hls")}
		s.timer = time.AfterFunc(expiry, func() { h.expire(stream, id, s) })
		a.sessions[id] = s
	}
	s.seen = time.Now()
	s.timer.Reset(expiry)
}

// expire forgets a session, unless it was seen while its timer fired.
func (h *Handler) expire(stream *hub.Stream, id string, s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.audiences[stream]
	if a == nil || a.sessions[id] != s || time.Since(s.seen) < expiry {
		return
	}
	delete(a.sessions, id)
	h.tidy(stream)
	s.leave()
}

// block asks for leave to wait; release gives it back. ok is false when too many
// requests wait already.
func (h *Handler) block(stream *hub.Stream, id string) (release func(), ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.audienceOf(stream)
	count, limit := &a.anonymous, maxAnonymous
	if s := a.sessions[id]; s != nil {
		count, limit = &s.blocked, maxBlocked
	}
	if *count >= limit {
		h.tidy(stream)
		return nil, false
	}
	*count++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		*count--
		h.tidy(stream)
	}, true
}

// Close forgets all viewers. Requests are still answered, uncounted. Idempotent.
func (h *Handler) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for stream, a := range h.audiences {
		for id, s := range a.sessions {
			s.timer.Stop()
			s.leave()
			delete(a.sessions, id)
		}
		h.tidy(stream)
	}
}
