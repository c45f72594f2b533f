package webrtc

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"

	"glimpse/internal/media/webrtc/transport"
)

const maxBody = 64 << 10

// cors lets any page play and publish: a playback id or a key is all that is needed.
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

// read returns an offer's text, if there is a place for another session.
func (s *Server) read(w http.ResponseWriter, r *http.Request, client netip.Addr) ([]byte, error) {
	if s.mux.Crowded(client) {
		return nil, &refusal{http.StatusTooManyRequests, "TOO_MANY_PENDING",
			"Too many sessions from your address are connecting at once. Try again in a few seconds."}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, &refusal{http.StatusRequestEntityTooLarge, "BAD_SDP", "The offer is longer than 64 KiB or was cut short."}
	}
	return body, nil
}

// answerer is that of a peer.
func (s *Server) answerer(p *transport.Peer, client netip.Addr, called string) *answerer {
	a := &answerer{
		session: uint64(p.Since().UnixNano()), fingerprint: s.mux.Fingerprint(), candidates: s.mux.Candidates(client, called),
	}
	a.ufrag, a.password = p.Credentials()
	return a
}

// created answers a POST.
func created(w http.ResponseWriter, location string, p *transport.Peer, answer []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/sdp")
	h.Set("Location", location)
	h.Set("ETag", etag(p))
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(answer)
}

// etag names the ICE session (RFC 9725 §4.3.1).
func etag(p *transport.Peer) string {
	ufrag, _ := p.Credentials()
	return `"` + ufrag + `"`
}

// patch answers a PATCH: an ICE restart when the fragment has credentials that are
// not the client's of now, else nothing, for no candidate of a client is needed.
func patch(w http.ResponseWriter, r *http.Request, p *transport.Peer) {
	if match := r.Header.Get("If-Match"); match != "" && match != "*" && match != etag(p) {
		refuse(w, &refusal{http.StatusPreconditionFailed, "ETAG", "The ICE session has changed since: see the newest ETag."})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		refuse(w, &refusal{http.StatusRequestEntityTooLarge, "BAD_SDP", "The fragment is longer than 64 KiB or was cut short."})
		return
	}
	ufrag, password := fragment(string(body))
	if p.Named(ufrag) || !token(ufrag, 4, 256) || !token(password, 22, 256) {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if err := p.Restart(ufrag); err != nil {
		refuse(w, errNoSession())
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/trickle-ice-sdpfrag")
	h.Set("ETag", etag(p))
	ours, secret := p.Credentials()
	w.WriteHeader(http.StatusOK)
	_, _ = io.WriteString(w, "a=ice-lite\r\na=ice-ufrag:"+ours+"\r\na=ice-pwd:"+secret+"\r\n")
}

// fragment reads the credentials of an SDP fragment (RFC 8840 §9).
func fragment(text string) (ufrag, password string) {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if v, ok := strings.CutPrefix(line, "a=ice-ufrag:"); ok && ufrag == "" {
			ufrag = v
		}
		if v, ok := strings.CutPrefix(line, "a=ice-pwd:"); ok && password == "" {
			password = v
		}
	}
	return ufrag, password
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
