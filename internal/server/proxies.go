package server

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// maxForwarded bounds the addresses of X-Forwarded-For that are looked at.
const maxForwarded = 32

// forwarded lets handlers see a request that a trusted proxy passes on as its
// client's: RemoteAddr becomes the last address of X-Forwarded-For that is not a
// trusted proxy's. What stands before it may be anybody's invention.
func forwarded(next http.Handler, trusted []netip.Prefix) http.Handler {
	if len(trusted) == 0 {
		return next
	}
	knows := func(a netip.Addr) bool {
		return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !knows(at.Addr().Unmap()) {
			next.ServeHTTP(w, r)
			return
		}
		list := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		client := netip.Addr{}
		for i := len(list) - 1; i >= 0 && i >= len(list)-maxForwarded; i-- {
			addr, err := netip.ParseAddr(strings.TrimSpace(list[i]))
			if err != nil {
				break
			}
			if client = addr.Unmap().WithZone(""); !knows(client) {
				break
			}
		}
		if client.IsValid() {
			r = r.WithContext(r.Context()) // a copy: the server's own keeps the peer's address
			r.RemoteAddr = net.JoinHostPort(client.String(), "0")
		}
		next.ServeHTTP(w, r)
	})
}
