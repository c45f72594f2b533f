package api

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
)

// Names are the host names that are ours: addresses, localhost, names without a dot
// (no public name is one), the machine's own name, and those allowed. Immutable.
type Names struct{ names map[string]bool }

// OurNames returns the names; allowed holds host names without ports. publicURL
// may be empty.
func OurNames(publicURL string, allowed []string) Names {
	names := map[string]bool{}
	for _, name := range allowed {
		names[strings.ToLower(name)] = true
	}
	if u, err := url.Parse(publicURL); err == nil && u.Hostname() != "" {
		names[strings.ToLower(u.Hostname())] = true
	}
	if name, err := os.Hostname(); err == nil {
		name = strings.ToLower(name)
		names[name], names[name+".local"] = true, true
	}
	return Names{names}
}

// Has reports whether a Host, with or without its port, is ours.
func (n Names) Has(hostport string) bool { return ourHost(hostport, n.names) }

// Hosts refuses requests for names that are not ours with 421, so that a page
// of another site cannot make its own name resolve to us and read what we say
// (DNS rebinding).
func Hosts(next http.Handler, ours Names) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !ours.Has(r.Host) {
			writeProblem(w, problem(http.StatusMisdirectedRequest, codeWrongHost,
				"This server does not know itself by this name; set http.public_url."))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func ourHost(hostport string, names map[string]bool) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if host == "" {
		return false
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return !strings.Contains(host, ".") || strings.HasSuffix(host, ".localhost") || names[host]
}

// Headers sets what every answer carries.
func Headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer") // playback ids stand in paths
		next.ServeHTTP(w, r)
	})
}
