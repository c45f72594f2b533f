// Package viewers counts those who watch by HTTP. A viewer is a session, a random
// segment of the path, ~<session>/, that all relative addresses below it keep: so
// nothing that is listed differs between viewers, and none has a cookie. Its first
// letter is the protocol. A session is a viewer until it has asked for nothing
// for 20 s.
//
// Locks: Viewers.mu is never held while anything waits or is written.
package viewers

import (
	"crypto/rand"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"glimpse/internal/media/hub"
)

const (
	// expiry is how long a session counts as a viewer after its last request:
	// players without low latency ask once in a target duration.
	expiry = 20 * time.Second
	// maxSessions of one stream; further ones are served but not counted.
	maxSessions = 8192
	// MaxBlocked bounds the requests of one session that wait at once, and
	// maxAnonymous those of a stream without one.
	MaxBlocked   = 8
	maxAnonymous = 1024
	// length of a session's name: a letter and 75 random bits.
	length = 16
)

// Protocol is how a session plays, and the first letter of its name.
type Protocol byte

// The protocols.
const (
	HLS  Protocol = 'h'
	DASH Protocol = 'd'
)

// name of the protocol among a stream's viewers.
func (p Protocol) name() string {
	if p == DASH {
		return "dash"
	}
	return "hls"
}

// Viewers are those of all streams. Safe for concurrent use.
type Viewers struct {
	mu        sync.Mutex
	closed    bool
	audiences map[*hub.Stream]*audience
	asked     map[string]string // sessions by who was given them last, see Again
}

// New has nobody. Close it when the server has stopped.
func New() *Viewers {
	return &Viewers{audiences: map[*hub.Stream]*audience{}, asked: map[string]string{}}
}

// audience is who watches one stream. Guarded by Viewers.mu.
type audience struct {
	sessions  map[string]*session
	anonymous int // requests without a session that wait
}

// session is one viewer. Guarded by Viewers.mu.
type session struct {
	leave   func()
	bytes   atomic.Uint64 // sent; not under the lock
	timer   *time.Timer
	seen    time.Time
	media   bool // it has asked for some
	blocked int
}

// Name makes a session, which counts from its first use (See).
func Name(p Protocol) string {
	return string(p) + strings.ToLower(rand.Text()[:length-1])
}

// maxAgent bounds what is looked at of a player's name for itself.
const maxAgent = 200

// Again is Name for who may be back: some players (ffmpeg by DASH) ask anew without
// a session each time, and take media without one. Whoever is the same by address
// and by its name for itself, and has asked for no media in the session that it
// got, gets that again: one viewer, not hundreds.
func (v *Viewers) Again(r *http.Request, stream *hub.Stream, p Protocol) string {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	agent := r.UserAgent()
	who := stream.ID() + string(p) + host + " " + agent[:min(len(agent), maxAgent)]
	v.mu.Lock()
	defer v.mu.Unlock()
	name, given := v.asked[who]
	if a := v.audiences[stream]; !given || a == nil || a.sessions[name] == nil || a.sessions[name].media {
		name = Name(p)
	}
	if len(v.asked) >= maxSessions {
		clear(v.asked) // they are counted anew
	}
	v.asked[who] = name
	return name
}

// Split takes the session off the front of a path below a stream's playback path;
// session is empty when there is none. ok is false for a malformed one.
func Split(path string) (session, rest string, ok bool) {
	path, has := strings.CutPrefix(path, "~")
	if !has {
		return "", path, true
	}
	session, rest, found := strings.Cut(path, "/")
	if !found || len(session) != length || (session[0] != byte(HLS) && session[0] != byte(DASH)) {
		return "", "", false
	}
	for i := range length {
		switch c := session[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		default:
			return "", "", false
		}
	}
	return session, rest, true
}

// of returns a stream's audience; v.mu is held.
func (v *Viewers) of(stream *hub.Stream) *audience {
	a := v.audiences[stream]
	if a == nil {
		a = &audience{sessions: map[string]*session{}}
		v.audiences[stream] = a
	}
	return a
}

// tidy forgets an audience that is nobody; v.mu is held.
func (v *Viewers) tidy(stream *hub.Stream) {
	if a := v.audiences[stream]; a != nil && len(a.sessions) == 0 && a.anonymous == 0 {
		delete(v.audiences, stream)
	}
}

// See counts a session as a viewer, or goes on counting it, and returns what the
// request is answered by: it counts what is sent. An empty session is nobody. media
// says that it asks for more than the first index.
func (v *Viewers) See(w http.ResponseWriter, r *http.Request, stream *hub.Stream, id string, media bool) http.ResponseWriter {
	v.mu.Lock()
	s := v.see(stream, id, r.RemoteAddr, media)
	v.mu.Unlock()
	if s != nil {
		return &counted{w, &s.bytes}
	}
	return w
}

// counted counts what a viewer is sent.
type counted struct {
	http.ResponseWriter
	bytes *atomic.Uint64
}

// Write implements io.Writer.
func (c *counted) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.bytes.Add(uint64(n))
	return n, err
}

// Unwrap is for http.ResponseController.
func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// see returns the session, made when there is none; nil: it is not counted. v.mu is
// held.
func (v *Viewers) see(stream *hub.Stream, id, remote string, media bool) *session {
	if id == "" || v.closed {
		return nil
	}
	a := v.of(stream)
	s := a.sessions[id]
	if s == nil {
		if len(a.sessions) >= maxSessions {
			return nil
		}
		s = &session{}
		s.leave = stream.AddViewer(hub.ViewerInfo{Protocol: Protocol(id[0]).name(), Remote: remote, Stats: func() hub.ViewerStats {
			return hub.ViewerStats{Bytes: s.bytes.Load()}
		}})
		s.timer = time.AfterFunc(expiry, func() { v.expire(stream, id, s) })
		a.sessions[id] = s
	}
	s.seen, s.media = time.Now(), s.media || media
	s.timer.Reset(expiry)
	return s
}

// expire forgets a session, unless it was seen while its timer fired.
func (v *Viewers) expire(stream *hub.Stream, id string, s *session) {
	v.mu.Lock()
	defer v.mu.Unlock()
	a := v.audiences[stream]
	if a == nil || a.sessions[id] != s || time.Since(s.seen) < expiry {
		return
	}
	delete(a.sessions, id)
	v.tidy(stream)
	s.leave()
}

// Block asks for leave to wait; release gives it back. ok is false when too many
// requests of the session, or without one, wait already.
func (v *Viewers) Block(stream *hub.Stream, id string) (release func(), ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	a := v.of(stream)
	count, limit := &a.anonymous, maxAnonymous
	if s := a.sessions[id]; s != nil {
		count, limit = &s.blocked, MaxBlocked
	}
	if *count >= limit {
		v.tidy(stream)
		return nil, false
	}
	*count++
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		*count--
		v.tidy(stream)
	}, true
}

// Close forgets all viewers. Requests are still answered, uncounted. Idempotent.
func (v *Viewers) Close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	for stream, a := range v.audiences {
		for id, s := range a.sessions {
			s.timer.Stop()
			s.leave()
			delete(a.sessions, id)
		}
		v.tidy(stream)
	}
}
