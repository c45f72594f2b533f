package lean

import "bytes"

// head is what a plain request says. Its slices lie in what was parsed.
type head struct {
	path, query []byte // query without '?'
	host        []byte
	encoding    []byte // Accept-Encoding
	last        bool   // no request follows
}

// names are the headers of plain requests, in lower case, besides those that begin
// with sec-fetch- or sec-ch-: none changes what an answer is, or how long a
// request. A few are looked at.
const (
	nameHost       = "host"
	nameConnection = "connection"
	nameEncoding   = "accept-encoding"
)

// harmless reports whether a header may stand in a plain request, unread.
func harmless(name string) bool {
	switch name {
	case "accept", "accept-language", "user-agent", "origin", "referer", "cookie", "dnt", "pragma", "cache-control", "priority", "sec-gpc", "icy-metadata":
		return true
	}
	return len(name) > 10 && name[:10] == "sec-fetch-" || len(name) > 7 && name[:7] == "sec-ch-"
}

// parse reads a request that is exactly one plain head and nothing behind it. ok
// is false for all others, whole and hostile ones alike: net/http judges them.
func parse(b []byte) (h head, ok bool) {
	line, rest, ok := bytes.Cut(b, []byte("\r\n"))
	if !ok || !h.requestLine(line) {
		return head{}, false
	}
	for {
		if line, rest, ok = bytes.Cut(rest, []byte("\r\n")); !ok {
			return head{}, false // it has not ended
		}
		if len(line) == 0 {
			return h, len(rest) == 0 && len(h.host) > 0
		}
		if !h.header(line) {
			return head{}, false
		}
	}
}

// requestLine reads GET <path>[?<query>] HTTP/1.1.
func (h *head) requestLine(line []byte) bool {
	target, ok := bytes.CutPrefix(line, []byte("GET "))
	if !ok {
		return false
	}
	if target, ok = bytes.CutSuffix(target, []byte(" HTTP/1.1")); !ok {
		return false
	}
	h.path, h.query, ok = bytes.Cut(target, []byte("?"))
	if ok && len(h.query) == 0 || len(h.path) == 0 || h.path[0] != '/' {
		return false
	}
	for _, c := range h.query {
		if !plain(c) && c != '=' && c != '&' {
			return false
		}
	}
	for i, c := range h.path {
		switch {
		case c == '/': // "//", "/./" and "/../" would be cleaned
			if i+1 < len(h.path) && (h.path[i+1] == '/' || h.path[i+1] == '.') {
				return false
			}
		case !plain(c):
			return false
		}
	}
	return true
}

// plain reports whether a byte stands for itself in URLs (RFC 3986 §2.3).
func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// longest is of the name of a header that is known.
const longest = 40

// header reads a line that is not empty.
func (h *head) header(line []byte) bool {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || colon > longest {
		return false
	}
	var lower [longest]byte
	for i, c := range line[:colon] {
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c != '-' && (c < 'a' || c > 'z'):
			return false
		}
		lower[i] = c
	}
	value := bytes.Trim(line[colon+1:], " \t")
	for _, c := range value {
		if c < ' ' && c != '\t' || c >= 0x7f {
			return false
		}
	}
	switch name := string(lower[:colon]); name {
	case nameHost:
		if len(h.host) > 0 {
			return false
		}
		h.host = value
		return hostOf(value)
	case nameConnection:
		h.last = h.last || bytes.EqualFold(value, []byte("close"))
		return h.last || bytes.EqualFold(value, []byte("keep-alive"))
	case nameEncoding:
		if h.encoding != nil {
			return false
		}
		h.encoding = value
		return true
	default:
		return harmless(name)
	}
}

// hostOf reports whether a Host is a name or an address and perhaps a port.
func hostOf(b []byte) bool {
	for _, c := range b {
		if !plain(c) && c != ':' && c != '[' && c != ']' {
			return false
		}
	}
	return len(b) > 0
}
