package camera

import (
	"slices"
	"strconv"
	"strings"

	"glimpse/protocol"
)

// maxURL bounds a target's URL, in bytes.
const maxURL = 2048

// checkURL says what is wrong with a stranger's URL called name. The text does
// not repeat the URL, which may contain a stream key. Whoever dials it parses it
// in full; here only what nobody could dial is refused.
func checkURL(raw, name string, schemes ...string) (protocol.Code, string) {
	bad := func(why string) (protocol.Code, string) {
		return protocol.CodeInvalidURL, "Invalid URL: " + name + " " + why
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	switch {
	case raw == "":
		return bad("is required")
	case len(raw) > maxURL:
		return bad("is too long")
	case !ok || !slices.Contains(schemes, strings.ToLower(scheme)):
		return bad("must start with " + strings.Join(schemes, "://, ") + "://")
	case strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return bad("contains spaces or control characters")
	case !validHost(rest):
		return bad("has no valid host")
	}
	return "", ""
}

// validHost looks at what follows "://": [user@]host[:port][/path][?query].
func validHost(rest string) bool {
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	host := rest[strings.LastIndexByte(rest, '@')+1:]
	port := ""
	if inner, after, ok := strings.Cut(host, "]"); ok { // IPv6
		if !strings.HasPrefix(inner, "[") || strings.Count(inner, ":") < 2 || (after != "" && after[0] != ':') {
			return false
		}
		host, port = inner[1:], strings.TrimPrefix(after, ":")
	} else {
		host, port, _ = strings.Cut(host, ":")
	}
	if port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return false
		}
	}
	return host != "" && !strings.ContainsAny(host, "%[]\\\"<>^`{|}")
}
