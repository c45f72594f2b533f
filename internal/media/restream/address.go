package restream

import (
	"errors"
	"net/url"
	"strings"
)

// ErrAddress is the refusal of an address that no protocol here can push to.
var ErrAddress = errors.New("a destination must be rtmp://host/app/key, rtmps://host/app/key or srt://host:port?streamid=…")

// maxAddress bounds an address in bytes; the platforms' are under 300.
const maxAddress = 2048

// Normal writes an address's scheme in small letters; nothing else is changed.
func Normal(raw string) string {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return raw
	}
	return strings.ToLower(scheme) + "://" + rest
}

// CheckAddress returns ErrAddress for what cannot be a destination. It resolves
// and contacts nothing.
func CheckAddress(raw string) error {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok || len(raw) > maxAddress || strings.ContainsAny(raw, " \t\r\n") {
		return ErrAddress
	}
	host, tail, _ := strings.Cut(rest, "/")
	host, query, _ := strings.Cut(host, "?") // srt://host:port?streamid=… has no path
	u, err := url.Parse(scheme + "://" + host)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return ErrAddress
	}
	switch scheme {
	case "rtmp", "rtmps":
		app, key, ok := strings.Cut(tail, "/")
		if !ok || app == "" || key == "" || query != "" {
			return ErrAddress
		}
	case "srt":
		if u.Port() == "" || strings.Contains("&"+query, "&mode=listener") {
			return ErrAddress
		}
	default:
		return ErrAddress
	}
	return nil
}

// Redact keeps of an address what tells a person which destination it is: scheme,
// host and application. Every key, whether in the path or the query, is cut.
func Redact(raw string) string {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return "…"
	}
	place, query, asked := strings.Cut(rest, "?")
	host, path, _ := strings.Cut(place, "/")
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		host = host[at+1:]
	}
	out := scheme + "://" + host
	if app, _, keyed := strings.Cut(path, "/"); keyed {
		out += "/" + app + "/…"
	} else if path != "" {
		out += "/…"
	}
	if asked && query != "" && !strings.HasSuffix(out, "…") {
		out += "?…"
	}
	return out
}
